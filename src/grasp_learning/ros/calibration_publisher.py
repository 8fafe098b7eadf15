"""The node that publishes a calibration as static transforms, for RViz and everybody who uses tf.

Publishes:
    /tf_static: base -> kinect2_link and kinect2_link -> kinect2_rgb_optical_frame (identity, as the Kinect's bridge
        does).
Parameters:
    ~calibration (str): calibration file.
"""

import sys

import rospy
from geometry_msgs.msg import TransformStamped
from tf2_ros import StaticTransformBroadcaster

from grasp_learning.calibration import Pose, load_calibration
from grasp_learning.config import ConfigError

IDENTITY = Pose(translation=[0.0, 0.0, 0.0], rotation_xyzw=[0.0, 0.0, 0.0, 1.0])


def transform_message(parent: str, child: str, pose: Pose) -> TransformStamped:
    """Pose of the child's frame in the parent's as a stamped transform."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = rospy.Time.now()
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = pose.translation
    rotation.x, rotation.y, rotation.z, rotation.w = pose.rotation_xyzw
    return message


def main() -> None:
    """Start the node."""
    rospy.init_node("calibration_publisher")
    try:
        calibration = load_calibration(rospy.get_param("~calibration", ""))
    except ConfigError as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    broadcaster = StaticTransformBroadcaster()
    broadcaster.sendTransform(
        [
            transform_message("base", "kinect2_link", calibration.T_base_kinect),
            transform_message("kinect2_link", "kinect2_rgb_optical_frame", IDENTITY),
        ]
    )
    rospy.spin()
