"""The node that tells where and at which angle to grasp, as a trained network sees a picture.

Services:
    ~predict (grasp_learning/PredictGrasp): ranked grasps in the picture that comes with the request, or in a fresh one
        of the node's camera. Always answers, within ~answer_timeout: SUCCESS; SENSOR_FAULT without a usable picture;
        NO_OBJECTS where there is nothing to look at; ABORTED while there is no model, or when time is up.
    ~load_model (grasp_learning/LoadModel): serve another model. What is asked meanwhile is answered by the old one,
        which also stays where the file cannot be used.
Publishes:
    ~overlay (sensor_msgs/Image, bgr8, latched): the last picture with its ranked grasps.
Subscribes, each only while a picture is taken:
    cameras/<camera>_hand_camera/image (sensor_msgs/Image), cameras/<camera>_hand_camera/camera_info
    (sensor_msgs/CameraInfo), robot/joint_states (sensor_msgs/JointState).
Parameters:
    robot_description (str): URDF from which the camera's pose follows; without it the package's own description.
    ~model (str): checkpoint file; '' waits for ~load_model. ~calibration (str): calibration file with the table; '' is
    that of the simulation. ~seed (int, 0): of the places that are looked at.
    All keys of config/grasp_predictor.yaml.

Poses are known only for pictures of the node's own camera. Of any other picture the node knows neither camera nor
distance: its patches are ~patch_size px wide, or, with 0, the share of the picture's width that patches have in
pictures of Baxter's wrist camera 25 cm above the table.

Wrong parameters, and a first model that cannot be used, end the node with one line on stderr and exit code 1.
"""

import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional

import numpy as np
import rospy
from pydantic import Field
from sensor_msgs.msg import Image
from typing_extensions import Literal

from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.execution.faults import SensorFault
from grasp_learning.execution.task import Task
from grasp_learning.geometry import Camera
from grasp_learning.patches import PatchSettings, patch_side
from grasp_learning.predictor.errors import NothingToLookAtError, PredictionError, RegionError
from grasp_learning.predictor.settings import PredictorSettings
from grasp_learning.ranked_grasps import draw_ranked, ranked_pose, typical_patch_side
from grasp_learning.ros import conversions
from grasp_learning.ros.camera_client import CameraTimeouts
from grasp_learning.ros.node_setup import private_parameters, robot_model, workcell_calibration
from grasp_learning.ros.wrist_camera import WristCamera
from grasp_learning.srv import LoadModel, LoadModelResponse, PredictGrasp, PredictGraspResponse
from grasp_learning.trial import Outcome

if TYPE_CHECKING:
    from grasp_learning.predictor.predictor import Prediction, Predictor

MOST_PATCHES = 10_000  # of one request
MOST_GRASPS = 1000  # of one answer
LARGEST_PICTURE = 32  # times a patch, on its longer side; the dense path's memory grows with the square
WARM_UP = (1280, 800)  # px, size of the picture for which a model is prepared


class GraspPredictorSettings(Settings):
    """Parameters of the node; see config/grasp_predictor.yaml."""

    calibration: str = ""
    model: str = ""
    seed: int = Field(0, ge=0)
    camera: Literal["left", "right"] = "left"
    patch_size: int = Field(0, ge=0)
    clearance: float = Field(0.012, ge=0)
    object_height: float = Field(0.05, ge=0)
    answer_timeout: float = Field(30.0, gt=0)
    load_timeout: float = Field(60.0, gt=0)
    timeouts: CameraTimeouts = CameraTimeouts()
    predictor: PredictorSettings = PredictorSettings()


class LoadFailed(Exception):
    """A model is not served; the message says why."""


class Models:
    """The model that is served, and the loading of another one beside it.

    Args:
        make: makes a predictor of a file; raises what says why it cannot.
        timeout: a file that is not ready after so long is given up (s, wall clock).
    """

    def __init__(self, make: Callable[[str], "Predictor"], timeout: float):
        self._make, self._timeout = make, timeout
        self._loading = threading.Lock()  # one at a time; held while a model is loaded
        self.current: Optional[Predictor] = None

    def load(self, path: str) -> "Predictor":
        """Load a file and serve it from now on.

        Raises:
            LoadFailed: it cannot be used, took too long, or another one is being loaded.
        """
        if not self._loading.acquire(blocking=False):
            raise LoadFailed(f"{path}: not loaded, for another model is being loaded; ask again when that is done")
        task = Task(lambda: self._load(path), "load a model")
        if not task.wait(self._timeout):
            raise LoadFailed(f"{path}: not loaded within {self._timeout:g} s; is this machine busy, or the disk slow?")
        self.current = task.result()
        return self.current

    def _load(self, path: str) -> "Predictor":
        try:
            return self._make(path)
        finally:
            self._loading.release()


def make_predictor(path: str, settings: PredictorSettings) -> "Predictor":
    """A predictor of a checkpoint file, ready to answer at its usual speed.

    Raises:
        LoadFailed: the file cannot be used.
    """
    # torch takes seconds to import; the services are there before
    from grasp_learning.checkpoint import CheckpointError
    from grasp_learning.predictor.predictor import Predictor

    if not Path(path).is_absolute():
        raise LoadFailed(f"'{path}' is no absolute path: name the checkpoint with its folders, from / on")
    try:
        predictor = Predictor(path, settings)
    except CheckpointError as error:
        raise LoadFailed(str(error)) from None
    predictor.warm_up(*WARM_UP, typical_patch_side(WARM_UP[0]))
    return predictor


@dataclass(frozen=True)
class View:
    """A picture to look at.

    Attributes:
        image: BGR (rows, columns, 3).
        stamp, frame_id: of the picture.
        side: of its patches (px).
        camera, T_base_camera: None where they are not known.
    """

    image: np.ndarray
    stamp: float
    frame_id: str
    side: int
    camera: Optional[Camera] = None
    T_base_camera: Optional[np.ndarray] = None


class GraspPredictor:
    """See the module's docstring."""

    def __init__(self, settings: GraspPredictorSettings):
        self._settings = settings
        self._table_z = workcell_calibration(settings.calibration).table.z
        self._camera = WristCamera(settings.camera, robot_model(), settings.timeouts)
        self._models = Models(lambda path: make_predictor(path, settings.predictor), settings.load_timeout)
        self._answers = 0
        self._counting = threading.Lock()
        self._overlay = rospy.Publisher("~overlay", Image, queue_size=1, latch=True)
        self._services = [
            rospy.Service("~load_model", LoadModel, self._on_load),
            rospy.Service("~predict", PredictGrasp, self._on_predict),
        ]

    def load(self, path: str) -> None:
        """Serve a model.

        Raises:
            LoadFailed: it cannot be used; the old one, if any, stays.
        """
        predictor = self._models.load(path)
        rospy.loginfo("serving %s, stage %d (%s)", path, predictor.checkpoint.info.stage, _short(predictor))

    # --- services ---------------------------------------------------------------------------------------------------

    def _on_load(self, request) -> LoadModelResponse:
        try:
            self.load(str(Path(request.path).expanduser()))
            success, message = True, f"serving {request.path}"
        except LoadFailed as error:
            success, message = False, str(error)
        # a defect of this package must not leave the caller without an answer, nor end the node
        except Exception as error:  # noqa: BLE001 - see above
            success, message = False, _unexpected(error)
        if not success:
            rospy.logerr("the model stays as it is: %s", message)
        current = self._models.current
        return LoadModelResponse(success, message, current.checkpoint.sha256 if current else "")

    def _on_predict(self, request) -> PredictGraspResponse:
        task = Task(lambda: self._answer(request), "predict")
        if not task.wait(self._settings.answer_timeout):
            return _refusal(Outcome.ABORTED, f"no answer within {self._settings.answer_timeout:g} s")
        try:
            return task.result()
        except (NothingToLookAtError, RegionError) as error:
            return _refusal(Outcome.NO_OBJECTS, str(error))
        except (SensorFault, conversions.ConversionError, PredictionError) as error:
            return _refusal(Outcome.SENSOR_FAULT, str(error))
        # a defect of this package must not leave the caller without an answer, nor end the node
        except Exception as error:  # noqa: BLE001 - see above
            return _refusal(Outcome.ABORTED, _unexpected(error))

    # --- work -------------------------------------------------------------------------------------------------------

    def _answer(self, request) -> PredictGraspResponse:
        predictor = self._models.current
        if predictor is None:
            return _refusal(Outcome.ABORTED, "no model is loaded (yet): wait for it, or call ~load_model")
        if request.patches > MOST_PATCHES or request.count > MOST_GRASPS:
            raise PredictionError(
                f"{request.patches} patches and {request.count} grasps were asked for: expected at most "
                f"{MOST_PATCHES} and {MOST_GRASPS}"
            )
        view = self._picture_of(request.image) if _is_given(request.image) else self._own_picture(predictor)
        longer = max(view.image.shape)
        if longer > LARGEST_PICTURE * view.side:
            raise PredictionError(
                f"the picture's longer side of {longer} px is more than {LARGEST_PICTURE} times a patch of "
                f"{view.side} px: send a smaller picture, or set ~patch_size"
            )
        prediction = self._predict(predictor, view, request)
        response = PredictGraspResponse(
            outcome=str(Outcome.SUCCESS),
            grasps=self._grasps(prediction, view),
            model=prediction.model,
            model_sha256=prediction.model_sha256,
            stage=prediction.stage,
            latency=prediction.latency["total"],
        )
        self._show(prediction, view)
        return response

    def _predict(self, predictor: "Predictor", view: View, request) -> "Prediction":
        with self._counting:
            number, self._answers = self._answers, self._answers + 1
        return predictor.predict(
            view.image,
            view.side,
            np.random.default_rng([self._settings.seed, number]),
            polygon=_corners(request.region),
            patches=request.patches or None,
            count=request.count or None,
        )

    def _own_picture(self, predictor: "Predictor") -> View:
        frame, T_base_camera = self._camera.look()
        height = float(T_base_camera[2, 3] - self._table_z)
        if height <= 0:
            raise SensorFault(
                f"the {self._settings.camera} wrist camera is below the table: check the calibration file"
            )
        geometry = predictor.checkpoint.info.patch
        patch = PatchSettings(footprint=geometry.footprint, scale=geometry.scale, forced_size=self._settings.patch_size)
        side = patch_side(patch, frame.camera, height)
        return View(frame.image, frame.stamp, frame.frame_id, side, frame.camera, T_base_camera)

    def _picture_of(self, message: Image) -> View:
        image = conversions.image_from_msg(message)
        side = self._settings.patch_size or typical_patch_side(image.shape[1])
        return View(image, message.header.stamp.to_sec(), message.header.frame_id, side)

    def _grasps(self, prediction: "Prediction", view: View) -> List:
        plane, height = self._table_z + self._settings.object_height / 2, self._table_z + self._settings.clearance
        messages = []
        for place in prediction.ranked:
            pose = None
            if view.camera is not None:
                pose = ranked_pose(place, view.camera, view.T_base_camera, plane, height)
            messages.append(conversions.ranked_to_msg(place, view.side, view.stamp, view.frame_id, pose))
        return messages

    def _show(self, prediction: "Prediction", view: View) -> None:
        image = draw_ranked(view.image, prediction.ranked, view.side)
        self._overlay.publish(conversions.image_to_msg(image, "bgr8", view.stamp, view.frame_id))


def _is_given(image: Image) -> bool:
    """Whether a request brings a picture; one without size but with data is a broken one, not none."""
    return bool(image.width or image.height or image.data)


def _corners(region) -> Optional[np.ndarray]:
    """(4, 2) pixels of a RegionOfInterest's corners; None for the whole picture."""
    if region.width == 0 and region.height == 0:
        return None
    if region.width == 0 or region.height == 0:
        raise RegionError(f"the region is {region.width} x {region.height} px; expected both above 0, or both 0")
    left, top = float(region.x_offset), float(region.y_offset)
    right, bottom = left + region.width - 1.0, top + region.height - 1.0
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _refusal(outcome: Outcome, message: str) -> PredictGraspResponse:
    rospy.logwarn("%s: %s", outcome, message)
    return PredictGraspResponse(outcome=str(outcome), message=message)


def _unexpected(error: Exception) -> str:
    rospy.logerr("an error that should not happen; please report it:\n%s", traceback.format_exc())
    return f"unexpected {type(error).__name__}: {error} (the log of grasp_predictor has more)"


def _short(predictor: "Predictor") -> str:
    return predictor.checkpoint.sha256[:12]


def main() -> None:
    """Run the node until it is shut down; exit code 1 if its settings or its first model are wrong."""
    rospy.init_node("grasp_predictor")
    begun = time.monotonic()
    try:
        settings = parse_settings(GraspPredictorSettings, private_parameters(), rospy.get_name())
        node = GraspPredictor(settings)
        if settings.model:
            node.load(str(Path(settings.model).expanduser()))
            rospy.loginfo("ready after %.1f s", time.monotonic() - begun)
    except (ConfigError, LoadFailed) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    rospy.spin()
