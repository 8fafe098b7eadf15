"""Tolerances, and which robot and gripper software the SDK release goes with."""

JOINT_ANGLE_TOLERANCE = 0.008726646  # rad, half a degree
HEAD_PAN_ANGLE_TOLERANCE = 0.1396263401  # rad, eight degrees

SDK_VERSION = "1.2.0"
CHECK_VERSION = True
VERSIONS_SDK2ROBOT = {"1.2.0": ["1.2.0"]}
# Firmware built up to "fail" is refused, up to "warn" it is warned of.
VERSIONS_SDK2GRIPPER = {"1.2.0": {"warn": "2014/5/20 00:00:00", "fail": "2013/10/15 00:00:00"}}
