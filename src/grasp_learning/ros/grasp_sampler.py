"""The node that chooses a grasp in a fresh wrist picture.

Services:
    ~sample (grasp_learning/SampleGrasp): a grasp in a region that the arm named in it hangs over; drawn in mode "best",
        too, where the request says so. Outcome SUCCESS, UNREACHABLE or SENSOR_FAULT, within ~timeouts.
Publishes:
    ~overlay (sensor_msgs/Image, bgr8, latched): the last wrist picture with its region, patch and grasp; drawn only
        while somebody listens.
Subscribes, each only while a picture is taken:
    cameras/<arm>_hand_camera/image (sensor_msgs/Image), cameras/<arm>_hand_camera/camera_info
    (sensor_msgs/CameraInfo), robot/joint_states (sensor_msgs/JointState).
Parameters:
    robot_description (str): URDF from which the camera's pose follows; without it the package's own description.
    ~calibration (str): calibration file with the table; '' is that of the simulation. ~mode (str, 'random'): 'random',
    'staged' (a grasp drawn by what a model thinks of it) or 'best'. ~model (str): checkpoint file of the latter two.
    ~seed (int, 0): of the draws, with ~data (str, ''), the folder of the collection; see grasp_learning.seeding.
    All keys of config/grasp_sampler.yaml.

Wrong parameters, and a model that cannot be used, end the node with one line on stderr and exit code 1.
"""

import dataclasses
import sys

import numpy as np
import rospy
from pydantic import Field
from sensor_msgs.msg import Image

from grasp_learning import drawing
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.execution.faults import SensorFault
from grasp_learning.patches import patch_box
from grasp_learning.predictor.settings import PredictorSettings
from grasp_learning.ranked_grasps import typical_patch_side
from grasp_learning.ros import conversions
from grasp_learning.ros.camera_client import CameraTimeouts, Frame
from grasp_learning.ros.node_setup import private_parameters, robot_model, workcell_calibration
from grasp_learning.ros.wrist_camera import WristCamera
from grasp_learning.sampling import GUIDED, GraspSampler, SamplerSettings, create_sampler
from grasp_learning.seeding import Draws
from grasp_learning.srv import SampleGrasp, SampleGraspResponse
from grasp_learning.storage import CollectionError
from grasp_learning.trial import ARMS, Grasp, Outcome, Region

STREAM = 1  # of random numbers; roi_sampler has another
WARM_UP = (1280, 800)  # px, size of the picture for which a model is prepared


class GraspSamplerSettings(Settings):
    """Parameters of the node; see config/grasp_sampler.yaml."""

    calibration: str = ""
    mode: str = "random"
    model: str = ""
    seed: int = Field(0, ge=0)
    data: str = ""
    jpeg_quality: int = Field(90, ge=1, le=100)
    timeouts: CameraTimeouts = CameraTimeouts()
    sampler: SamplerSettings = SamplerSettings()
    predictor: PredictorSettings = PredictorSettings()


def make_sampler(settings: GraspSamplerSettings) -> GraspSampler:
    """The sampler that the settings ask for.

    Raises:
        ConfigError: the mode is unknown, or its model cannot be used.
    """
    if settings.mode not in GUIDED:
        return create_sampler(settings.mode, settings.sampler)
    if not settings.model:
        raise ConfigError(f"{rospy.get_name()}: key 'model' is empty: mode '{settings.mode}' needs a checkpoint file")
    # torch takes seconds to import, and random collection does without
    from grasp_learning.checkpoint import CheckpointError
    from grasp_learning.predictor.predictor import Predictor

    try:
        predictor = Predictor(settings.model, settings.predictor)
    except CheckpointError as error:
        raise ConfigError(str(error)) from None
    sampler = create_sampler(settings.mode, settings.sampler, predictor)
    predictor.warm_up(*WARM_UP, typical_patch_side(WARM_UP[0]))
    rospy.loginfo("grasps are chosen by %s (%s)", settings.model, predictor.checkpoint.sha256[:12])
    return sampler


class GraspSamplerNode:
    """See the module's docstring."""

    def __init__(self, settings: GraspSamplerSettings):
        self._settings = settings
        self._draws = Draws(settings.seed, STREAM, settings.data)
        self._table_z = workcell_calibration(settings.calibration).table.z
        self._sampler = make_sampler(settings)
        robot = robot_model()
        self._cameras = {arm: WristCamera(arm, robot, settings.timeouts) for arm in ARMS}
        self._overlay = rospy.Publisher("~overlay", Image, queue_size=1, latch=True)
        rospy.Service("~sample", SampleGrasp, self._on_sample)

    def _on_sample(self, request) -> SampleGraspResponse:
        region = conversions.region_from_msg(request.region)
        if region.arm not in ARMS:
            raise rospy.ServiceException(f"the region's arm '{region.arm}' is unknown; choose from {', '.join(ARMS)}")
        try:
            frame, T_base_camera = self._cameras[region.arm].look()
            rng = self._draws.generator(region.arm)
        except (SensorFault, CollectionError) as error:
            rospy.logwarn("%s", error)
            return SampleGraspResponse(outcome=str(Outcome.SENSOR_FAULT), message=str(error))
        if T_base_camera[2, 3] <= self._table_z:
            message = f"the {region.arm} wrist camera is below the table: check the calibration file and the robot"
            return SampleGraspResponse(outcome=str(Outcome.SENSOR_FAULT), message=message)
        sampler = self._sampler.drawing if request.draw else self._sampler
        step = sampler.sample(frame.image, region, frame.camera, T_base_camera, self._table_z, rng)
        response = SampleGraspResponse(outcome=str(step.outcome), message=step.message, camera_info=frame.info)
        quality = self._settings.jpeg_quality
        response.image = conversions.image_to_compressed(frame.image, frame.stamp, frame.frame_id, quality)
        response.prior = conversions.prior_to_msg(step.prior, frame.stamp)
        if step.value is not None:
            grasp = dataclasses.replace(step.value, stamp=frame.stamp)
            response.grasp = conversions.grasp_to_msg(grasp)
            self._show(frame, T_base_camera, region, grasp)
        return response

    def _show(self, frame: Frame, T_base_camera: np.ndarray, region: Region, grasp: Grasp) -> None:
        if self._overlay.get_num_connections() == 0:
            return
        outline = np.column_stack([region.outline, np.full(len(region.outline), self._table_z + region.height / 2)])
        image = draw_choice(frame.image, frame.camera.base_to_pixels(outline, T_base_camera), grasp)
        self._overlay.publish(conversions.image_to_msg(image, "bgr8", frame.stamp, frame.frame_id))


def draw_choice(image: np.ndarray, outline: np.ndarray, grasp: Grasp) -> np.ndarray:
    """A copy of a wrist picture with the region's outline (n, 2 px), the patch and the grasp."""
    image = np.array(image)
    drawing.draw_outline(image, outline, drawing.ARM_COLORS[grasp.arm])
    left, top = patch_box(grasp.u, grasp.v, grasp.patch_size)
    right, bottom = left + grasp.patch_size - 1, top + grasp.patch_size - 1
    drawing.draw_outline(image, [(left, top), (right, top), (right, bottom), (left, bottom)], (255, 255, 255), 1)
    drawing.draw_grasp(image, grasp.u, grasp.v, grasp.theta_image, grasp.patch_size)
    label = f"{grasp.arm} {grasp.sampler} {np.degrees(grasp.theta_image):.0f} deg"
    return drawing.draw_text(image, label, left, max(top - 8, 20), (255, 255, 255))


def main() -> None:
    """Run the node until it is shut down; exit code 1 if its settings are wrong."""
    rospy.init_node("grasp_sampler")
    try:
        settings = parse_settings(GraspSamplerSettings, private_parameters(), rospy.get_name())
        GraspSamplerNode(settings)
    except (ConfigError, CollectionError) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    rospy.spin()
