"""The node that chooses a grasp in a fresh wrist picture.

Services:
    ~sample (grasp_learning/SampleGrasp): a grasp in a region that the arm named in it hangs over. Outcome SUCCESS,
        UNREACHABLE or SENSOR_FAULT, within ~timeouts.
Publishes:
    ~overlay (sensor_msgs/Image, bgr8, latched): the last wrist picture with its region, patch and grasp; drawn only
        while somebody listens.
Subscribes, each only while a picture is taken:
    cameras/<arm>_hand_camera/image (sensor_msgs/Image), cameras/<arm>_hand_camera/camera_info
    (sensor_msgs/CameraInfo), robot/joint_states (sensor_msgs/JointState).
Parameters:
    robot_description (str): URDF from which the camera's pose follows; without it the package's own description.
    ~calibration (str): calibration file with the table; '' is that of the simulation. ~mode (str, 'random').
    ~seed (int, 0): of the draws, with ~data (str, ''), the folder of the collection; see grasp_learning.seeding.
    All keys of config/grasp_sampler.yaml.

Wrong parameters end the node with one line on stderr and exit code 1.
"""

import dataclasses
import sys
import threading
from typing import Tuple

import numpy as np
import rospy
from pydantic import Field
from sensor_msgs.msg import Image

from grasp_learning import drawing
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.execution.faults import SensorFault
from grasp_learning.motion.kinematics import Kinematics
from grasp_learning.patches import patch_box
from grasp_learning.ros import conversions
from grasp_learning.ros.camera_client import JOINT_STATES, CameraTimeouts, Frame, FreshImage, JointWatch
from grasp_learning.ros.node_setup import private_parameters, robot_model, workcell_calibration
from grasp_learning.sampling import SamplerSettings, create_sampler
from grasp_learning.seeding import Draws
from grasp_learning.srv import SampleGrasp, SampleGraspResponse
from grasp_learning.storage import CollectionError
from grasp_learning.trial import ARMS, Grasp, Outcome, Region

STREAM = 1  # of random numbers; roi_sampler has another


class GraspSamplerSettings(Settings):
    """Parameters of the node; see config/grasp_sampler.yaml."""

    calibration: str = ""
    mode: str = "random"
    seed: int = Field(0, ge=0)
    data: str = ""
    jpeg_quality: int = Field(90, ge=1, le=100)
    timeouts: CameraTimeouts = CameraTimeouts()
    sampler: SamplerSettings = SamplerSettings()


class GraspSampler:
    """See the module's docstring."""

    def __init__(self, settings: GraspSamplerSettings):
        self._settings = settings
        self._draws = Draws(settings.seed, STREAM, settings.data)
        self._table_z = workcell_calibration(settings.calibration).table.z
        self._sampler = create_sampler(settings.mode, settings.sampler)
        robot = robot_model()
        self._kinematics = {arm: Kinematics(robot, arm) for arm in ARMS}
        self._cameras = {arm: self._camera_client(arm) for arm in ARMS}
        self._lock = threading.Lock()  # kinematics are not for several threads at once
        self._overlay = rospy.Publisher("~overlay", Image, queue_size=1, latch=True)
        rospy.Service("~sample", SampleGrasp, self._on_sample)

    def _camera_client(self, arm: str) -> FreshImage:
        camera = f"cameras/{arm}_hand_camera"
        return FreshImage(f"{camera}/image", f"{camera}/camera_info", timeouts=self._settings.timeouts)

    def _on_sample(self, request) -> SampleGraspResponse:
        region = conversions.region_from_msg(request.region)
        if region.arm not in ARMS:
            raise rospy.ServiceException(f"the region's arm '{region.arm}' is unknown; choose from {', '.join(ARMS)}")
        try:
            frame, T_base_camera = self._look(region.arm)
            rng = self._draws.generator(region.arm)
        except (SensorFault, CollectionError) as error:
            rospy.logwarn("%s", error)
            return SampleGraspResponse(outcome=str(Outcome.SENSOR_FAULT), message=str(error))
        if T_base_camera[2, 3] <= self._table_z:
            message = f"the {region.arm} wrist camera is below the table: check the calibration file and the robot"
            return SampleGraspResponse(outcome=str(Outcome.SENSOR_FAULT), message=message)
        step = self._sampler.sample(frame.image, region, frame.camera, T_base_camera, self._table_z, rng)
        response = SampleGraspResponse(outcome=str(step.outcome), message=step.message, camera_info=frame.info)
        quality = self._settings.jpeg_quality
        response.image = conversions.image_to_compressed(frame.image, frame.stamp, frame.frame_id, quality)
        if step.value is not None:
            grasp = dataclasses.replace(step.value, stamp=frame.stamp)
            response.grasp = conversions.grasp_to_msg(grasp)
            self._show(frame, T_base_camera, region, grasp)
        return response

    def _look(self, arm: str) -> Tuple[Frame, np.ndarray]:
        """A fresh wrist picture and the camera's pose at its time."""
        with JointWatch(JOINT_STATES, self._settings.timeouts) as watch:
            frame = self._cameras[arm].grab(joints=watch)
            joints = watch.at(frame.stamp)
        kinematics = self._kinematics[arm]
        missing = [name for name in kinematics.joint_names if name not in joints]
        if missing:
            raise SensorFault(
                f"{rospy.resolve_name(JOINT_STATES)} has no {', '.join(missing)}: is this robot a Baxter?"
            )
        with self._lock:
            return frame, kinematics.T_base_camera([joints[name] for name in kinematics.joint_names])

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
        GraspSampler(settings)
    except (ConfigError, CollectionError) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    rospy.spin()
