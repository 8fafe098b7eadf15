"""MoveIt's node move_group over moveit_commander and its services; nothing else imports either.

moveit_commander's PlanningSceneInterface is not used: it waits in C++ without letting go of Python's lock, so that a
move_group that hangs would stop every thread of this process, deadlines included. The scene goes through rospy.
"""

import inspect
import time
from types import SimpleNamespace
from typing import Callable, Iterable, List, Optional, Sequence, Set

import numpy as np
import rospy
from sensor_msgs.msg import JointState

from grasp_learning.config import ConfigError
from grasp_learning.execution.task import Task
from grasp_learning.geometry import transform
from grasp_learning.motion.collision import Box
from grasp_learning.motion.move_group import MoveGroup, MoveItPath, MoveItUnavailable
from grasp_learning.motion.robot_model import Shape
from grasp_learning.motion.settings import MoveItSettings
from grasp_learning.robot_description import arm_joints
from grasp_learning.ros.calls import CallFailed, call_service
from grasp_learning.ros.conversions import pose_to_msg
from grasp_learning.trial import Outcome

FRAME = "base"
PREFIX = "grasp_learning/"  # of this package's obstacles, among others that may be in the scene
GET_SCENE, APPLY_SCENE = "/get_planning_scene", "/apply_planning_scene"
# where MoveIt 1 keeps a planner's parameters: with several pipelines, and with one, as baxter_moveit_config
PARAMETERS = ("/move_group/planning_pipelines/ompl", "/move_group")
# moveit_commander's C++ part is a node of its own, which rospy's remappings do not reach. It would take this process's
# namespace, /left or /right, and look for /left/move_group.
CPP_ARGUMENTS = ["joint_states:=/robot/joint_states", "__ns:=/"]

# what may touch a thing that the gripper holds
HAND_LINKS = (
    "{side}_wrist",
    "{side}_hand",
    "{side}_hand_camera",
    "{side}_hand_range",
    "{side}_gripper_base",
    "{side}_gripper",
    "{s}_gripper_l_finger",
    "{s}_gripper_l_finger_tip",
    "{s}_gripper_r_finger",
    "{s}_gripper_r_finger_tip",
)

UNREACHABLE = {
    "GOAL_IN_COLLISION",
    "GOAL_VIOLATES_PATH_CONSTRAINTS",
    "GOAL_CONSTRAINTS_VIOLATED",
    "GOAL_STATE_INVALID",
    "INVALID_GOAL_CONSTRAINTS",
    "NO_IK_SOLUTION",
}
UNAVAILABLE = {
    "COMMUNICATION_FAILURE",
    "COLLISION_CHECKING_UNAVAILABLE",
    "CRASH",
    "FRAME_TRANSFORM_FAILURE",
    "INVALID_GROUP_NAME",
    "INVALID_LINK_NAME",
    "INVALID_ROBOT_STATE",
    "ROBOT_STATE_STALE",
    "SENSOR_INFO_STALE",
    "UNABLE_TO_AQUIRE_SENSOR_DATA",
}


def import_moveit() -> SimpleNamespace:
    """moveit_commander and the messages that it needs.

    Raises:
        ConfigError: MoveIt is not installed.
    """
    try:
        import moveit_commander
        from moveit_msgs import msg, srv
        from shape_msgs.msg import SolidPrimitive
    except ImportError as error:
        raise ConfigError(
            f"planner: 'moveit' needs moveit_commander, on ROS Noetic the package ros-noetic-moveit ({error}); "
            "'ompl' works without"
        ) from None
    return SimpleNamespace(commander=moveit_commander, msg=msg, srv=srv, SolidPrimitive=SolidPrimitive)


class MoveItClient(MoveGroup):
    """The way to move_group for one arm; see MoveGroup for the contract.

    A move_group that died and was started again gets its scene back, and is used again, at the next call.

    Services called: /get_planning_scene, /apply_planning_scene; through moveit_commander the action /move_group and the
    service /compute_cartesian_path. Nothing is executed through MoveIt.

    Args:
        side: the arm; its group is ``left_arm`` or ``right_arm``, its tip ``left_gripper`` or ``right_gripper``.
        wait: for move_group to come up (s, wall clock).
        carried: boxes in the gripper's frame that MoveIt's description of the robot does not have.

    Raises:
        ConfigError: MoveIt is not installed.
        MoveItUnavailable: move_group is not there in time, or does not know the planner.
    """

    def __init__(self, side: str, settings: MoveItSettings, wait: float, carried: Sequence[Shape] = ()):
        self._moveit, self._carried = import_moveit(), carried
        self._settings = settings
        self._side, self._other = side, "right" if side == "left" else "left"
        self._obstacles: List[Box] = []
        self._shown = False  # they are what the scene has
        self._group = None
        codes = self._moveit.msg.MoveItErrorCodes
        self._code_names = {
            value: name for name, value in vars(codes).items() if name.isupper() and isinstance(value, int)
        }
        self._known_names(wait)
        self._check_planner()
        self._moveit.commander.roscpp_initialize(CPP_ARGUMENTS)
        # else its node stays in the master's list when this process ends, and publishers go on trying to reach it
        rospy.on_shutdown(self._moveit.commander.roscpp_shutdown)
        self._group = self._connect()

    # --- the node -----------------------------------------------------------------------------------------------------

    def _connect(self):
        """A MoveGroupCommander of the arm."""
        seconds = self._settings.connect_timeout

        def make():
            group = self._moveit.commander.MoveGroupCommander(
                f"{self._side}_arm", robot_description="robot_description", ns="/", wait_for_servers=seconds
            )
            group.set_planner_id(self._settings.planner_id)
            group.set_num_planning_attempts(1)
            group.set_pose_reference_frame(FRAME)
            group.set_end_effector_link(f"{self._side}_gripper")
            return group

        return self._wait(make, seconds + self._settings.answer_timeout, "connecting to move_group")

    def _parameter(self, name: str):
        """A parameter of the arm's planner at move_group; None where there is none."""
        for space in PARAMETERS:
            value = rospy.get_param(f"{space}/{self._side}_arm/{name}", None)
            if value is not None:
                return value
        return None

    def _check_planner(self) -> None:
        """MoveIt takes another planner, with nothing but a warning in its own log, where it does not know the one."""
        known, wanted = self._parameter("planner_configs") or [], self._settings.planner_id
        if wanted not in known:
            raise MoveItUnavailable(
                f"move_group has no planner '{wanted}' for {self._side}_arm (motion/moveit/planner_id); it has: "
                f"{', '.join(known) or 'none'}"
            )

    def edge_fraction(self) -> float:
        """See MoveGroup.edge_fraction; OMPL's own default where it is not set."""
        value = self._parameter("longest_valid_segment_fraction")
        return 0.01 if value is None else float(value)

    def _wait(self, call: Callable, seconds: float, what: str):
        """Run a call of moveit_commander in a thread of its own; its result.

        Raises:
            MoveItUnavailable: it raised, or did not return in time.
        """
        task, end = Task(call, what), time.monotonic() + seconds
        while not task.wait(0.1):
            if rospy.is_shutdown():
                raise MoveItUnavailable(f"{what}: this node is shutting down")
            if time.monotonic() >= end:
                self._group = None  # the call still holds it
                raise MoveItUnavailable(f"{what}: no answer within {seconds:.1f} s; is move_group running?")
        try:
            return task.result()
        except (RuntimeError, self._moveit.commander.MoveItCommanderException) as error:
            raise MoveItUnavailable(f"{what} failed: {error}") from None

    def _ready(self):
        """The commander, connected to a move_group that knows the obstacles."""
        self._ensure_scene()
        if self._group is None:
            self._group = self._connect()
        return self._group

    # --- the planning scene -------------------------------------------------------------------------------------------

    def show(self, obstacles: Sequence[Box]) -> None:
        """See MoveGroup.show; what earlier runs left is removed."""
        if self._shown and self._obstacles == list(obstacles):
            return  # a move_group that forgot them is told again before it plans
        self._obstacles, self._shown = list(obstacles), False
        # also what has the right name already, which may be of another size
        self._apply(remove=self._known_names(self._settings.scene_timeout) - self._names())
        self._ensure_scene()
        self._shown = True

    def _names(self) -> Set[str]:
        return {PREFIX + box.name for box in self._obstacles}

    def _ensure_scene(self) -> None:
        """Wait until move_group names every obstacle; one that was started anew is told of them again."""
        seconds = self._settings.scene_timeout
        end = time.monotonic() + seconds
        while True:
            missing = self._names() - self._known_names(seconds)
            if not missing:
                return
            if time.monotonic() > end:
                raise MoveItUnavailable(f"the planning scene lacks {', '.join(sorted(missing))} after {seconds:g} s")
            self._apply()

    def _known_names(self, timeout: float) -> Set[str]:
        """Names of this package's obstacles in the scene."""
        srv, msg = self._moveit.srv, self._moveit.msg
        request = srv.GetPlanningSceneRequest()
        request.components.components = msg.PlanningSceneComponents.WORLD_OBJECT_NAMES
        answer = self._call(GET_SCENE, srv.GetPlanningScene, request, timeout)
        return {item.id for item in answer.scene.world.collision_objects if item.id.startswith(PREFIX)}

    def _apply(self, remove: Iterable[str] = ()) -> None:
        srv = self._moveit.srv
        request = srv.ApplyPlanningSceneRequest()
        request.scene.is_diff = request.scene.robot_state.is_diff = True
        item = self._moveit.msg.CollisionObject
        request.scene.world.collision_objects = [
            *(item(id=name, operation=item.REMOVE) for name in sorted(remove)),
            *(self._collision_object(box) for box in self._obstacles),
        ]
        if not self._call(APPLY_SCENE, srv.ApplyPlanningScene, request, self._settings.scene_timeout).success:
            raise MoveItUnavailable("move_group refused the obstacles; its log says why")

    def _call(self, name: str, service_class, request, timeout: float):
        try:
            return call_service(name, service_class, request, timeout)
        except CallFailed as error:
            raise MoveItUnavailable(f"move_group does not answer: {error}") from None

    def _collision_object(self, box: Box):
        return self._box(FRAME, box.name, box.size, transform(np.eye(3), box.center))

    def _box(self, frame: str, name: str, size: Sequence[float], T_frame_box: np.ndarray):
        item = self._moveit.msg.CollisionObject()
        item.header.frame_id, item.id, item.operation = frame, PREFIX + name, item.ADD
        if hasattr(item, "pose"):  # since MoveIt 1.1.6 the shapes' poses are relative to this one
            item.pose.orientation.w = 1.0
        shape = self._moveit.SolidPrimitive(type=self._moveit.SolidPrimitive.BOX, dimensions=list(size))
        item.primitives, item.primitive_poses = [shape], [pose_to_msg(T_frame_box)]
        return item

    def _attached(self) -> List:
        """What the gripper carries, as a part of the arm."""
        link, make = f"{self._side}_gripper", self._moveit.msg.AttachedCollisionObject
        hand = [name.format(side=self._side, s=self._side[0]) for name in HAND_LINKS]
        return [
            make(
                link_name=link,
                object=self._box(link, f"carried {number}", shape.size, shape.T_link_shape),
                touch_links=hand,
            )
            for number, shape in enumerate(self._carried)
        ]

    # --- plans --------------------------------------------------------------------------------------------------------

    def plan(self, start: np.ndarray, goal: np.ndarray, other_arm: Optional[np.ndarray], seconds: float) -> MoveItPath:
        """See MoveGroup.plan."""
        group = self._ready()
        group.set_start_state(self._state(start, other_arm))
        group.set_planning_time(seconds)
        try:
            group.set_joint_value_target(dict(zip(arm_joints(self._side), goal.tolist())))
        except self._moveit.commander.MoveItCommanderException as error:
            return MoveItPath(Outcome.UNREACHABLE, f"MoveIt refuses the goal: {error}")
        answer = self._wait(group.plan, seconds + self._settings.answer_timeout, "planning with MoveIt")
        return self._interpreted(answer)

    def straight(
        self, start: np.ndarray, T_base_goal: np.ndarray, other_arm: Optional[np.ndarray], step: float
    ) -> MoveItPath:
        """See MoveGroup.straight."""
        group = self._ready()
        group.set_start_state(self._state(start, other_arm))
        options = {"waypoints": [pose_to_msg(T_base_goal)], "eef_step": step, "avoid_collisions": True}
        # until MoveIt 1.1.15 this stood between the two; jumps are looked for here, 0 is no limit
        if "jump_threshold" in inspect.signature(group.compute_cartesian_path).parameters:
            options["jump_threshold"] = 0.0
        trajectory, fraction = self._wait(
            lambda: group.compute_cartesian_path(**options), self._settings.answer_timeout, "MoveIt's Cartesian path"
        )
        if fraction < 0.0:  # not "no part of it is free", which is 0
            raise MoveItUnavailable("MoveIt's Cartesian path failed; move_group's log says why")
        return MoveItPath(Outcome.SUCCESS, "", self._joints(trajectory), min(float(fraction), 1.0))

    def _state(self, start: np.ndarray, other_arm: Optional[np.ndarray]):
        """Where a plan begins: the arms as told here, head and fingers as move_group measures them."""
        names, positions = list(arm_joints(self._side)), np.asarray(start, float).tolist()
        if other_arm is not None:
            names += arm_joints(self._other)
            positions += np.asarray(other_arm, float).tolist()
        state = self._moveit.msg.RobotState(joint_state=JointState(name=names, position=positions), is_diff=True)
        if self._carried:
            state.attached_collision_objects = self._attached()
        return state

    def _interpreted(self, plan) -> MoveItPath:
        """What ``plan()`` returned: a trajectory, or since MoveIt 1.1 (success, trajectory, seconds, error code)."""
        if isinstance(plan, tuple):
            success, trajectory, _, code = plan
            # a request that waited for the other arm's, and was displaced by its next one, has no code
            name = self._code_names.get(code.val, f"error {code.val}") if code.val else "RECALLED"
        else:
            success, trajectory, name = True, plan, ""
        if success and trajectory.joint_trajectory.points:
            return MoveItPath(Outcome.SUCCESS, "", self._joints(trajectory))
        if success:
            return MoveItPath(Outcome.PLANNING_FAILED, "MoveIt's plan is empty")
        if name in UNAVAILABLE:
            raise MoveItUnavailable(f"planning with MoveIt failed: {name}")
        return MoveItPath(Outcome.UNREACHABLE if name in UNREACHABLE else Outcome.PLANNING_FAILED, f"MoveIt: {name}")

    def _joints(self, trajectory) -> np.ndarray:
        """(n, 7) joints of a trajectory, in this package's order."""
        names, points = list(trajectory.joint_trajectory.joint_names), trajectory.joint_trajectory.points
        if not points:
            return np.zeros((0, 7))
        if not set(arm_joints(self._side)) <= set(names):
            raise MoveItUnavailable(f"MoveIt plans for {', '.join(names)}; expected the joints of the {self._side} arm")
        order = [names.index(name) for name in arm_joints(self._side)]
        return np.array([point.positions for point in points], float)[:, order]
