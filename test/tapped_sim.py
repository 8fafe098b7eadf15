"""baxter_sim with what a test can break: joint and gripper states pass through here on their way to the executor.

fault_cell.launch remaps the executor's topics accordingly.
"""

import threading
import time

import rospy
from baxter_core_msgs.msg import AssemblyState, CameraSettings, EndEffectorState, JointCommand
from baxter_core_msgs.srv import CloseCamera, OpenCamera
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

SIM = "/baxter_sim"
CAMERA = "left_hand_camera"
PATIENCE = 10.0  # s, wall clock


class TappedSim:
    """The faults of FakeBaxter on the simulator: each method returns when the robot told of it (wall clock).

    Attributes:
        commands: (time, side, wall-clock time) of every joint command.
    """

    def __init__(self) -> None:
        self.commands: list = []
        self._frozen = self._failed = False
        self._state = None
        self._changed = threading.Condition()
        self._joints = rospy.Publisher("/tap/joint_states", JointState, queue_size=1, tcp_nodelay=True)
        self._gripper = rospy.Publisher("/tap/gripper_state", EndEffectorState, queue_size=1, tcp_nodelay=True)
        self._enable = rospy.Publisher("/robot/set_super_enable", Bool, queue_size=1)

        def listen(topic, message_class, callback):
            rospy.Subscriber(topic, message_class, callback, queue_size=5, tcp_nodelay=True)

        listen("/robot/joint_states", JointState, self._on_joints)
        listen("/robot/end_effector/left_gripper/state", EndEffectorState, self._on_gripper)
        listen("/robot/state", AssemblyState, self._on_state)
        listen("/robot/limb/left/joint_command", JointCommand, self._on_command)
        rospy.wait_for_service(f"{SIM}/press_estop", 60.0)

    def _on_joints(self, message: JointState) -> None:
        if not self._frozen:
            self._joints.publish(message)

    def _on_gripper(self, message: EndEffectorState) -> None:
        message.error = int(self._failed)
        self._gripper.publish(message)

    def _on_command(self, _message: JointCommand) -> None:
        self.commands.append((rospy.get_time(), "left", time.monotonic()))

    def _on_state(self, message: AssemblyState) -> None:
        came = time.monotonic()
        with self._changed:
            self._state = (message, came)
            self._changed.notify_all()

    def _told(self, condition) -> float:
        """When the first state came of which a condition holds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._state and condition(self._state[0]), PATIENCE):
                raise AssertionError("the simulator does not tell of it")
            return self._state[1]

    def press_estop(self) -> float:
        rospy.ServiceProxy(f"{SIM}/press_estop", Trigger)()
        return self._told(lambda state: state.estop_button == AssemblyState.ESTOP_BUTTON_PRESSED)

    def release_estop(self) -> None:
        rospy.ServiceProxy(f"{SIM}/release_estop", Trigger)()

    def disable(self) -> float:
        self._enable.publish(False)
        return self._told(lambda state: not state.enabled)

    def freeze_joints(self, frozen: bool) -> float:
        self._frozen = frozen
        return time.monotonic()

    def freeze_camera(self, frozen: bool) -> float:
        begin = time.monotonic()
        if frozen:
            rospy.ServiceProxy("/cameras/close", CloseCamera)(CAMERA)
        else:
            rospy.ServiceProxy("/cameras/open", OpenCamera)(CAMERA, CameraSettings(width=640, height=400, fps=10))
        return begin

    def fail_gripper(self) -> float:
        self._failed = True
        return time.monotonic()

    def mend_gripper(self) -> None:
        self._failed = False
