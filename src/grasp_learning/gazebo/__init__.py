"""What this package brings to a Gazebo simulation: models of the workcell and the objects, the robot's description."""
