"""Nodes, and what they share; the only part of the library that imports ROS."""
