"""Simulation without a ROS graph: the trial protocol in this process, and many trials by several workers."""
