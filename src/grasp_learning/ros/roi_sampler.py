"""The node that finds regions with objects in the Kinect's picture and draws one for an arm.

Services:
    ~sample (grasp_learning/SampleRegion): a random region that an arm can reach, from a fresh picture. Outcome SUCCESS,
        NO_OBJECTS, UNREACHABLE or SENSOR_FAULT, within ~timeouts.
    ~reset_background (std_srvs/Trigger): learn the empty table from fresh pictures; the table must be empty and the
        arms beside it. Until it was called, or a file was loaded, ~sample answers SENSOR_FAULT.
Publishes:
    ~overlay (sensor_msgs/Image, bgr8, latched): what the last sample saw; drawn only while somebody listens.
Subscribes, each only while a picture is taken:
    The topics that ~color_topic and ~depth_topic name (sensor_msgs/Image): the Kinect's colour picture, and depth
        registered to it. That of ~info_topic (sensor_msgs/CameraInfo): of the colour picture.
    robot/joint_states (sensor_msgs/JointState): where the arms are.
Parameters:
    robot_description (str): URDF whose shapes mask the arms; without it the package's own description.
    ~calibration (str): calibration file with the Kinect's pose and the table; '' is that of the simulation.
    ~seed (int, 0): of the draws, with ~data (str, ''), the folder of the collection; see grasp_learning.seeding.
    ~background_file (str, ''): where the learnt background is kept over restarts of the node; '' is nowhere.
    ~session (str, ''): the file is only read where it was learnt in the session of the same name; a launch gives its
        own name to each session, for light and table may be others the next day.
    All keys of config/roi_sampler.yaml.

Wrong parameters end the node with one line on stderr and exit code 1.
"""

import sys
import threading
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
import rospy
from pydantic import Field
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning import drawing
from grasp_learning.background import BackgroundError
from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.execution.faults import SensorFault
from grasp_learning.regions import RegionFinder, RegionSettings, sample_region
from grasp_learning.ros import conversions
from grasp_learning.ros.camera_client import CameraTimeouts, Frame, KinectTopics, grab_with_joints
from grasp_learning.ros.node_setup import private_parameters, robot_model, workcell_calibration
from grasp_learning.seeding import Draws
from grasp_learning.silhouette import Silhouette, UnknownPose
from grasp_learning.srv import SampleRegion, SampleRegionResponse
from grasp_learning.storage import CollectionError
from grasp_learning.trial import ARMS, Outcome, Region

STREAM = 0  # of random numbers; grasp_sampler has another


class RoiSamplerSettings(KinectTopics):
    """Parameters of the node; see config/roi_sampler.yaml."""

    calibration: str = ""
    seed: int = Field(0, ge=0)
    data: str = ""
    background_file: str = ""
    session: str = ""
    background_pictures: int = Field(8, ge=1)
    use_depth: bool = True
    max_covered: float = Field(0.02, ge=0, le=1)
    max_risen_area: float = Field(5e-4, ge=0)
    jpeg_quality: int = Field(85, ge=1, le=100)
    timeouts: CameraTimeouts = CameraTimeouts()
    regions: RegionSettings = RegionSettings()


class RoiSampler:
    """See the module's docstring."""

    def __init__(self, settings: RoiSamplerSettings):
        self._settings = settings
        self._draws = Draws(settings.seed, STREAM, settings.data)
        self._calibration = workcell_calibration(settings.calibration)
        self._silhouette = Silhouette(robot_model())
        self._kinect = settings.pictures(settings.timeouts, settings.use_depth)
        self._lock = threading.Lock()  # guards the finder; pictures are taken outside of it
        self._finder: Optional[RegionFinder] = None
        self._camera_key: Optional[Tuple] = None
        self._overlay = rospy.Publisher("~overlay", Image, queue_size=1, latch=True)
        rospy.Service("~reset_background", Trigger, self._on_reset)
        rospy.Service("~sample", SampleRegion, self._on_sample)

    # Services

    def _on_sample(self, request) -> SampleRegionResponse:
        if request.arm not in ARMS:
            raise rospy.ServiceException(f"arm '{request.arm}' is unknown; choose from {', '.join(ARMS)}")
        try:
            frame, arms = self._look()
            with self._lock:
                regions = self._find(frame, arms)
            step = sample_region(regions, request.arm, self._draws.generator(request.arm))
        except (SensorFault, BackgroundError, UnknownPose, CollectionError) as error:
            rospy.logwarn("%s", error)
            return SampleRegionResponse(outcome=str(Outcome.SENSOR_FAULT), message=str(error))
        self._show(frame, arms, regions, step.value)
        response = SampleRegionResponse(outcome=str(step.outcome), message=step.message, camera_info=frame.info)
        quality = self._settings.jpeg_quality
        response.image = conversions.image_to_compressed(frame.image, frame.stamp, frame.frame_id, quality)
        if step.value is not None:
            response.region = conversions.region_to_msg(step.value)
        return response

    def _on_reset(self, _request) -> TriggerResponse:
        try:
            message = self._learn()
        except (SensorFault, BackgroundError, UnknownPose) as error:
            rospy.logwarn("the background was not learnt: %s", error)
            return TriggerResponse(False, str(error))
        rospy.loginfo("%s", message)
        return TriggerResponse(True, message)

    # Work

    def _look(self, not_before: Optional[float] = None) -> Tuple[Frame, np.ndarray]:
        """A fresh picture, and the mask of the arms at its time."""
        frame, joints = grab_with_joints(self._kinect, self._settings.timeouts, not_before)
        pose = self._calibration.T_base_kinect.matrix
        return frame, self._silhouette.mask(joints, frame.camera, pose, self._settings.regions.arm_margin)

    def _find(self, frame: Frame, arms: np.ndarray) -> List[Region]:
        self._finder_for(frame)
        return self._finder.find(frame.image, frame.depth, arms, frame.stamp)

    def _finder_for(self, frame: Frame) -> None:
        """Make the finder for the camera of a picture, with the background that was kept for it."""
        camera = frame.camera
        key = (camera.width, camera.height, *camera.K.reshape(-1), *camera.D.reshape(-1))
        if key == self._camera_key:
            return
        if self._camera_key is not None:
            rospy.logwarn("the Kinect's camera_info changed: the background has to be learnt again")
        self._finder = RegionFinder(self._settings.regions, self._calibration, camera)
        self._camera_key = key
        self._load_background()

    def _load_background(self) -> None:
        path = self._settings.background_file
        try:
            if path and self._finder.load(path, self._settings.session):
                rospy.loginfo("background read from %s", path)
        except BackgroundError as error:
            rospy.loginfo("%s", error)

    def _learn(self) -> str:
        images, stamp = [], None
        for _ in range(self._settings.background_pictures):
            frame, arms = self._look(stamp)
            with self._lock:
                self._finder_for(frame)
                self._check_empty(frame, arms)
            images.append(np.array(frame.image))
            stamp = frame.stamp + 1e-3  # the next picture, not the same again
        with self._lock:
            self._finder.learn(images)
        return f"the empty table was learnt from {len(images)} pictures{self._keep_background()}"

    def _check_empty(self, frame: Frame, arms: np.ndarray) -> None:
        covered = self._finder.covered(arms)
        if covered > self._settings.max_covered:
            raise BackgroundError(
                f"arms cover {100 * covered:.0f} % of the table in the picture: move them beside it first"
            )
        if frame.depth is not None:
            risen = self._finder.risen_area(frame.depth)
            if risen > self._settings.max_risen_area:
                raise BackgroundError(
                    f"the table is not empty: {1e4 * risen:.0f} cm^2 are above z = {self._calibration.table.z} m; "
                    "clear it, or check the calibration file"
                )

    def _keep_background(self) -> str:
        path = self._settings.background_file
        if not path:
            return ""
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                self._finder.save(path, self._settings.session)
        except OSError as error:
            # it works until the node is restarted, and the person is told
            rospy.logwarn("the background cannot be kept: %s", error)
            return f", but could not be kept ({error})"
        return f" and kept in {path}"

    # Overlay

    def _show(self, frame: Frame, arms: np.ndarray, regions: List[Region], chosen: Optional[Region]) -> None:
        if self._overlay.get_num_connections() == 0:
            return
        with self._lock:
            image = draw_regions(frame.image, self._finder, arms, regions, chosen)
        self._overlay.publish(conversions.image_to_msg(image, "bgr8", frame.stamp, frame.frame_id))


def draw_regions(
    image: np.ndarray, finder: RegionFinder, arms: np.ndarray, regions: List[Region], chosen: Optional[Region]
) -> np.ndarray:
    """A copy of a Kinect picture with the table's outline, the arms' mask, and regions coloured by arm (grey: none)."""
    image = drawing.tint(np.array(image), arms, (0, 255, 255), 0.35)
    drawing.draw_outline(image, finder.table_outline, (255, 255, 255))
    for region in regions:
        color, width = drawing.ARM_COLORS[region.arm], 5 if region is chosen else 2
        drawing.draw_outline(image, finder.project(region.outline), color, width)
        u, v = region.box[:2]
        label = f"{region.arm or 'no arm'} {100 * region.height:.0f} cm"
        drawing.draw_text(image, label, u, v, color)
    return image


def main() -> None:
    """Run the node until it is shut down; exit code 1 if its settings are wrong."""
    rospy.init_node("roi_sampler")
    try:
        settings = parse_settings(RoiSamplerSettings, private_parameters(), rospy.get_name())
        RoiSampler(settings)
    except (ConfigError, CollectionError) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    rospy.spin()
