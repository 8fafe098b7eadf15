from gazebo_msgs.definitions import message

ModelState = message(
    "ModelState",
    "string model_name\ngeometry_msgs/Pose pose\ngeometry_msgs/Twist twist\nstring reference_frame\n",
)
