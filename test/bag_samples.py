"""A made-up trial of realistic size: what the recorder would get from 25 s of a robot at 100 Hz."""

import cv2
import numpy as np
import rospy
from baxter_core_msgs.msg import EndEffectorState, EndpointState
from sensor_msgs.msg import CameraInfo, CompressedImage, JointState

from grasp_learning.msg import Grasp, Region, Trial
from grasp_learning.ros.trial_bag import entry_of

RATE = 100  # Hz
JOINTS = [f"{side}_{joint}" for side in ("left", "right") for joint in ("s0", "s1", "e0", "e1", "w0", "w1", "w2")]
NAMES = ["head_pan", "l_gripper_l_finger_joint", "l_gripper_r_finger_joint", *JOINTS]
NAMES += ["r_gripper_l_finger_joint", "r_gripper_r_finger_joint"]


def joint_state(time, rng):
    """JointState with noise in all digits, as a servo's readings have."""
    message = JointState(name=NAMES)
    message.header.stamp = rospy.Time.from_sec(time)
    count = len(NAMES)
    message.position = list(np.sin(time + np.arange(count)) + rng.normal(0, 1e-4, count))
    message.velocity = list(np.cos(time + np.arange(count)) + rng.normal(0, 1e-3, count))
    message.effort = list(rng.normal(0, 5, count))
    return message


def endpoint_state(time, rng):
    """EndpointState with noise in all digits."""
    message = EndpointState()
    message.header.stamp = rospy.Time.from_sec(time)
    for vector in (message.twist.linear, message.twist.angular, message.wrench.force, message.wrench.torque):
        vector.x, vector.y, vector.z = rng.normal(0, 1, 3)
    position, orientation = message.pose.position, message.pose.orientation
    position.x, position.y, position.z = rng.normal(0.6, 0.1, 3)
    orientation.x, orientation.y, orientation.z, orientation.w = rng.normal(0, 1, 4)
    return message


def gripper_state(time, rng):
    """EndEffectorState of a calibrated gripper."""
    message = EndEffectorState(timestamp=rospy.Time.from_sec(time), id=65538, enabled=1, calibrated=1, ready=1)
    message.position, message.force = rng.uniform(0, 100, 2)
    return message


def picture(width, height, rng, noise=2.0):
    """BGR picture of coloured things on a noisy table, about as hard to compress as a camera's."""
    image = np.full((height, width, 3), 190, np.uint8)
    for _ in range(14):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        color = tuple(int(value) for value in rng.integers(0, 255, 3))
        cv2.ellipse(image, center, (60, 30), float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    return np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def compressed(image, time):
    """CompressedImage as the recorder gets it."""
    message = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", image)[1].tobytes())
    message.header.stamp = rospy.Time.from_sec(time)
    return message


def camera_info(width, height, time):
    """CameraInfo of an ideal camera."""
    message = CameraInfo(width=width, height=height, distortion_model="plumb_bob", D=[0.0] * 5)
    message.K = [810.0, 0.0, width / 2, 0.0, 810.0, height / 2, 0.0, 0.0, 1.0]
    message.header.stamp = rospy.Time.from_sec(time)
    return message


def trial_message(start, end, arm="left", outcome="SUCCESS"):
    """Trial.msg as the collector sends it, all parts filled."""
    trial = Trial(arm=arm, mode="random", outcome=outcome, detail="made up", force=31.5, position=42.0, gripping=True)
    trial.start, trial.end = rospy.Time.from_sec(start), rospy.Time.from_sec(end)
    trial.header.stamp, trial.header.frame_id = trial.end, "base"
    trial.truth_known, trial.truth_held, trial.truth_object = True, outcome == "SUCCESS", "mug_03"
    trial.region = Region(arm=arm, height=0.07)
    trial.grasp = Grasp(arm=arm, u=640.0, v=400.0, x=0.6, y=0.2, z=-0.06, theta=0.5, theta_image=1.1, bin=6)
    trial.grasp.patch_size, trial.grasp.sampler, trial.grasp.score = 380, "random", float("nan")
    return trial


def robot_entries(start, end, arm, rng):
    """Entries of the three topics of the robot over [start, end] (s)."""
    entries = []
    for time in np.arange(round(start * RATE), round(end * RATE) + 1) / RATE:
        stamp = rospy.Time.from_sec(time).to_nsec()
        entries.append(entry_of("/robot/joint_states", stamp, joint_state(time, rng)))
        entries.append(entry_of(f"/robot/limb/{arm}/endpoint_state", stamp, endpoint_state(time, rng)))
        entries.append(entry_of(f"/robot/end_effector/{arm}_gripper/state", stamp, gripper_state(time, rng)))
    return entries
