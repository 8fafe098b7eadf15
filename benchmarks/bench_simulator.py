#!/usr/bin/env python3
"""How fast baxter_sim runs over ROS with ``speed:=max``, and how long a picture takes somebody who asks for one.

A ROS master of its own, the simulator with ten objects, and as many listeners as a collection has nodes.
"""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

from figures import figure  # noqa: E402
from harness import free_port, wait_until  # noqa: E402

NODE = Path(__file__).resolve().parent.parent / "nodes" / "baxter_sim"
LISTENERS = 6
SECONDS = 15.0  # of wall time
PATIENCE = 60.0  # s
PICTURES = 5
TOPICS = ["/robot/joint_states"] + [
    f"/robot/{name}"
    for side in ("left", "right")
    for name in (f"limb/{side}/endpoint_state", f"end_effector/{side}_gripper/state")
]


def listen() -> None:
    """A node that takes the robot's topics, under simulated time."""
    import rospy

    rospy.init_node("listener", anonymous=True)
    for topic in TOPICS:
        rospy.Subscriber(topic, rospy.AnyMsg, lambda message: None, queue_size=1, tcp_nodelay=True)
    rospy.spin()


def start(stack: ExitStack, *command) -> None:
    """Start a process that ends with the benchmark."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)


def real_time_factor() -> float:
    """Simulated time over wall time."""
    import rospy

    wall, simulated = time.monotonic(), rospy.get_time()
    time.sleep(SECONDS)
    return (rospy.get_time() - simulated) / (time.monotonic() - wall)


def picture_time(topic: str) -> float:
    """Median time (ms) from the wish for a picture until it is there."""
    import rospy
    from sensor_msgs.msg import Image

    times = []
    for _ in range(PICTURES):
        begin = time.monotonic()
        received = []
        subscriber = rospy.Subscriber(topic, Image, received.append, queue_size=1, buff_size=2**25)
        wait_until(lambda got=received: got, PATIENCE, f"a picture on {topic}")
        times.append(1e3 * (time.monotonic() - begin))
        subscriber.unregister()
        time.sleep(0.5)
    return sorted(times)[len(times) // 2]


def main() -> int:
    """Print the figures; 1 if one is short of its target."""
    port = free_port()
    os.environ.update(ROS_MASTER_URI=f"http://127.0.0.1:{port}", ROS_IP="127.0.0.1")
    import rosgraph
    import rospy

    with ExitStack() as stack:
        start(stack, "roscore", "-p", port)
        wait_until(rosgraph.is_master_online, PATIENCE, "the ROS master")
        rospy.set_param("/use_sim_time", True)
        start(stack, sys.executable, NODE, "_speed:=max")
        rospy.init_node("bench_simulator")
        stack.callback(rospy.signal_shutdown, "done")
        wait_until(lambda: rospy.get_time() > 0, PATIENCE, "the simulator")
        for _ in range(LISTENERS):
            start(stack, sys.executable, __file__, "listen")
        time.sleep(5.0)
        met = figure(f"simulator_speed_{LISTENERS}_listeners", real_time_factor(), 3.0, "x real", at_most=False)
        met &= figure("simulator_kinect_picture", picture_time("/kinect2/hd/image_color"), 500.0, "ms")
        met &= figure("simulator_wrist_picture", picture_time("/cameras/left_hand_camera/image"), 500.0, "ms")
    return 0 if met else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["listen"]:
        listen()
    else:
        sys.exit(main())
