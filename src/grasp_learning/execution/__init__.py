"""Carrying a trial out with an arm and a hand, over ROS or in-process on the simulator."""
