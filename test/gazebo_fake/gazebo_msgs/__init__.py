"""What grasp_learning uses of gazebo_msgs, equal on the wire, for tests where Gazebo is not installed."""
