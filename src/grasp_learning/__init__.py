"""A Baxter robot teaches itself to grasp. Nothing outside ``grasp_learning.ros`` imports ROS."""

__version__ = "0.1.0"
