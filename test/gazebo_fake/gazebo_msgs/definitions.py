"""Makes message and service classes of their definitions, as catkin does when it builds a package."""

import genmsg
import genpy.dynamic
from geometry_msgs.msg import Pose, Twist
from std_msgs.msg import Header

SEPARATOR = "\n" + "=" * 80 + "\n"
KNOWN = {"geometry_msgs/Pose": Pose, "geometry_msgs/Twist": Twist, "std_msgs/Header": Header}


def message(name: str, text: str):
    """The class of a message of this package; remembered for the messages that contain it."""
    used = [other for other in KNOWN if other.split("/")[1] in text]
    parts = [f"MSG: {other}\n{KNOWN[other]._full_text}" for other in used]
    full_name = f"gazebo_msgs/{name}"
    KNOWN[full_name] = genpy.dynamic.generate_dynamic(full_name, SEPARATOR.join([text, *parts]))[full_name]
    KNOWN[full_name]._full_text = SEPARATOR.join([text, *parts])
    return KNOWN[full_name]


def service(name: str, request: str, response: str):
    """The class of a service of this package, with those of its request and response."""
    classes = {kind: message(f"{name}{kind}", text) for kind, text in (("Request", request), ("Response", response))}
    context = genmsg.msg_loader.MsgContext.create_default()
    for full_name, known in KNOWN.items():
        for part in known._full_text.split(SEPARATOR)[1:]:
            header, body = part.split("\n", 1)
            _register(context, header.replace("MSG: ", ""), body)
        _register(context, full_name, known._full_text.split(SEPARATOR)[0])
    spec = genmsg.msg_loader.load_srv_from_string(context, f"{request}---\n{response}", f"gazebo_msgs/{name}")
    fields = {
        "_type": f"gazebo_msgs/{name}",
        "_md5sum": genmsg.compute_md5(context, spec),
        "_request_class": classes["Request"],
        "_response_class": classes["Response"],
    }
    return type(name, (), fields), classes["Request"], classes["Response"]


def _register(context, name: str, text: str) -> None:
    if not context.is_registered(name):
        genmsg.msg_loader.load_msg_from_string(context, text, name)
