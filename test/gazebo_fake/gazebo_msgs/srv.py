from gazebo_msgs import msg  # noqa: F401 - a service contains its message
from gazebo_msgs.definitions import service

ANSWER = "bool success\nstring status_message\n"

SpawnModel, SpawnModelRequest, SpawnModelResponse = service(
    "SpawnModel",
    "string model_name\nstring model_xml\nstring robot_namespace\ngeometry_msgs/Pose initial_pose\n"
    "string reference_frame\n",
    ANSWER,
)
DeleteModel, DeleteModelRequest, DeleteModelResponse = service("DeleteModel", "string model_name\n", ANSWER)
GetWorldProperties, GetWorldPropertiesRequest, GetWorldPropertiesResponse = service(
    "GetWorldProperties", "", f"float64 sim_time\nstring[] model_names\nbool rendering_enabled\n{ANSWER}"
)
GetModelState, GetModelStateRequest, GetModelStateResponse = service(
    "GetModelState",
    "string model_name\nstring relative_entity_name\n",
    f"Header header\ngeometry_msgs/Pose pose\ngeometry_msgs/Twist twist\n{ANSWER}",
)
SetModelState, SetModelStateRequest, SetModelStateResponse = service(
    "SetModelState", "gazebo_msgs/ModelState model_state\n", ANSWER
)
