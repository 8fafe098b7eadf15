"""move_group with moveit_commander in front of it, as far as MoveItClient uses them.

What is called is kept, and checked as strictly as MoveIt does; what is answered can be scripted. Names, defaults and
return values are those of MoveIt 1.1.16, or with ``version=(1, 0)`` or ``(1, 1, 9)`` those of older ones. Unless told
otherwise it plans by itself, at points 0.05 rad apart, and names joints in alphabetical order.
"""

import sys
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
from motion_samples import ROBOT, TABLE

from grasp_learning.motion.kinematics import NEUTRAL
from grasp_learning.motion.planner import PlanRequest, PlanResult
from grasp_learning.motion.scene_planner import ScenePlanner
from grasp_learning.motion.settings import MotionSettings
from grasp_learning.motion.straight import plan_straight, straight_joints
from grasp_learning.robot_description import arm_joints
from grasp_learning.trial import Outcome

CODES = {
    "SUCCESS": 1,
    "FAILURE": 99999,
    "PLANNING_FAILED": -1,
    "TIMED_OUT": -6,
    "PREEMPTED": -7,
    "GOAL_IN_COLLISION": -12,
    "NO_IK_SOLUTION": -31,
    "FRAME_TRANSFORM_FAILURE": -21,
    "COMMUNICATION_FAILURE": -25,
}
HANG = "never answers"
RECALLED = "displaced while it waited"


class MoveItCommanderException(Exception):
    """As moveit_commander's."""


def message(name, **defaults):
    """A class of messages: unknown fields are errors, as with those that genpy makes."""

    def __init__(self, **values):
        for field, default in defaults.items():
            setattr(self, field, values.pop(field, default() if callable(default) else default))
        assert not values, f"{name} has no {', '.join(values)}"

    return type(name, (), {"__slots__": tuple(defaults), "__init__": __init__})


def space(**values):
    return lambda: SimpleNamespace(**values)


def pose():
    return SimpleNamespace(orientation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=0.0))


class Ways(ScenePlanner):
    """Finds ways as a planner with little effort does: straight in joint space, or over one posture in between."""

    def plan_straight(self, request):
        return plan_straight(self, request)

    def _path_to(self, request, start, goals, watch, times):
        middles = [NEUTRAL, *self._rng.uniform(self.kinematics.lower, self.kinematics.upper, (200, 7))]
        for way in [[start, goals[0]], *([start, middle, goals[0]] for middle in middles)]:
            if all(self.scene.edge_is_valid(a, b) for a, b in zip(way[:-1], way[1:])):
                return PlanResult(Outcome.SUCCESS, path=np.array(way))
        return PlanResult(Outcome.PLANNING_FAILED)


class FakeMoveIt:
    """One move_group, for both arms.

    Attributes:
        params: the parameter server.
        answers: plans to come, each instead of the fake's own: a name of CODES, HANG, RECALLED, an (n, 7) array of the
            arm's joints, or an exception to raise.
        lines: Cartesian paths to come, likewise: a fraction where the fake's own path is cut off, HANG, or an (n, 7)
            array, which counts as whole.
        at_shutdown: what rospy is to call when the node ends.
        running, deaf: it runs; it forgets what it is told of the scene.
        commanders: MoveGroupCommanders made so far. plans, straights: requests, with start state and the like.
    """

    def __init__(self, version=(1, 1, 16)):
        self.version = version
        self.params = {}
        for side in ("left", "right"):
            self.params[f"/move_group/{side}_arm/planner_configs"] = ["RRTConnectkConfigDefault", "ESTkConfigDefault"]
            self.params[f"/move_group/{side}_arm/longest_valid_segment_fraction"] = 0.0006
        self.answers, self.lines = [], []
        self.running, self.deaf = True, False
        self.objects, self.applied = {}, []
        self.commanders, self.plans, self.straights, self.cpp_arguments = [], [], [], None
        self.at_shutdown = []
        self.released = threading.Event()
        self._planners = {side: Ways(ROBOT, side, MotionSettings(), TABLE) for side in ("left", "right")}

    def install(self, monkeypatch):
        """Put the fake in the place of MoveIt, its services and its parameters."""
        from grasp_learning.ros import moveit_client

        commander = ModuleType("moveit_commander")
        commander.MoveItCommanderException = MoveItCommanderException
        commander.roscpp_initialize = self._initialize
        commander.roscpp_shutdown = self._shut_down
        commander.MoveGroupCommander = self._commander_class()
        moveit_msgs, shape_msgs = ModuleType("moveit_msgs"), ModuleType("shape_msgs")
        moveit_msgs.msg, moveit_msgs.srv = self._messages(), self._services()
        shape_msgs.msg = ModuleType("shape_msgs.msg")
        shape_msgs.msg.SolidPrimitive = message("SolidPrimitive", type=0, dimensions=list)
        shape_msgs.msg.SolidPrimitive.BOX = 1
        for module in (commander, moveit_msgs, moveit_msgs.msg, moveit_msgs.srv, shape_msgs, shape_msgs.msg):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(moveit_client, "call_service", self.call_service)
        monkeypatch.setattr(moveit_client.rospy, "on_shutdown", self.at_shutdown.append)
        monkeypatch.setattr(moveit_client.rospy, "get_param", lambda name, default: self.params.get(name, default))
        return self

    def _messages(self):
        module = ModuleType("moveit_msgs.msg")
        fields = {"header": space(frame_id=""), "id": "", "operation": -1, "primitives": list, "primitive_poses": list}
        if self.version >= (1, 1, 6):
            fields["pose"] = pose
        module.CollisionObject = message("CollisionObject", **fields)
        module.CollisionObject.ADD, module.CollisionObject.REMOVE = 0, 1
        module.RobotState = message("RobotState", joint_state=None, is_diff=False, attached_collision_objects=list)
        module.AttachedCollisionObject = message("AttachedCollisionObject", link_name="", object=None, touch_links=list)
        module.PlanningSceneComponents = SimpleNamespace(WORLD_OBJECT_NAMES=8)
        module.MoveItErrorCodes = type("MoveItErrorCodes", (), {**CODES, "_md5sum": "no code"})
        return module

    def _services(self):
        module = ModuleType("moveit_msgs.srv")
        for name in ("GetPlanningScene", "ApplyPlanningScene"):
            setattr(module, name, type(name, (), {}))
        module.GetPlanningSceneRequest = message("Request", components=space(components=0))

        def scene():
            world, state = SimpleNamespace(collision_objects=[]), SimpleNamespace(is_diff=False)
            return SimpleNamespace(is_diff=False, robot_state=state, world=world)

        module.ApplyPlanningSceneRequest = message("Request", scene=scene)
        return module

    # --- the node -----------------------------------------------------------------------------------------------------

    def die(self):
        """As kill -9 of move_group: what it knew is gone."""
        self.running, self.objects = False, {}

    def start(self):
        self.running = True

    def call_service(self, name, service_class, request, timeout):
        from grasp_learning.ros.calls import NoAnswer

        if not self.running:
            raise NoAnswer(f"service {name} did not answer within {timeout:g} s; is its node running?")
        if name == "/get_planning_scene":
            assert service_class.__name__ == "GetPlanningScene" and request.components.components == 8
            world = SimpleNamespace(collision_objects=[SimpleNamespace(id=known) for known in self.objects])
            return SimpleNamespace(scene=SimpleNamespace(world=world))
        assert (name, service_class.__name__) == ("/apply_planning_scene", "ApplyPlanningScene")
        assert request.scene.is_diff and request.scene.robot_state.is_diff, "else the whole scene is replaced"
        self.applied.append(request.scene.world.collision_objects)
        for item in request.scene.world.collision_objects:
            if item.operation == 1:
                del self.objects[item.id]
                continue
            assert item.operation == 0 and len(item.primitives) == len(item.primitive_poses) == 1
            assert item.header.frame_id == "base" and item.primitives[0].type == 1
            if self.version >= (1, 1, 6):
                assert item.pose.orientation.w == 1.0, "a pose that is no rotation"
            if not self.deaf:
                self.objects[item.id] = item
        return SimpleNamespace(success=True)

    def _initialize(self, arguments):
        assert self.cpp_arguments is None, "roscpp is initialised once in a process"
        self.cpp_arguments = arguments

    def _shut_down(self):
        self.cpp_arguments = None

    # --- moveit_commander ---------------------------------------------------------------------------------------------

    def _commander_class(self):
        fake = self

        class Commander(_Commander):
            def __init__(self, name, robot_description="robot_description", ns="", wait_for_servers=5.0):
                if not fake.running:
                    raise RuntimeError(
                        "Unable to connect to move_group action server 'move_group' within allotted time "
                        f"({wait_for_servers:g}s)"
                    )
                super().__init__(fake, name, ns)
                fake.commanders.append(self)

            if fake.version >= (1, 1, 16):

                def compute_cartesian_path(self, waypoints, eef_step, avoid_collisions=True, path_constraints=None):
                    return self._cartesian(waypoints, eef_step, avoid_collisions)

            else:

                def compute_cartesian_path(
                    self, waypoints, eef_step, jump_threshold, avoid_collisions=True, path_constraints=None
                ):
                    assert jump_threshold == 0.0
                    return self._cartesian(waypoints, eef_step, avoid_collisions)

        return Commander

    def path(self, side, start, goal, other):
        """The fake's own plan, (n, 7) filled up, or the name of a code."""
        result = self._planners[side].plan(PlanRequest(start, goal_joints=[goal], other_arm=other, time_budget=20.0))
        return filled(result.path) if result.ok else "PLANNING_FAILED"

    def line(self, side, start, T_goal, other):
        """The fake's own Cartesian path, (n, 7), and the fraction that it covers."""
        planner = self._planners[side]
        joints, travel, _ = straight_joints(planner, start, T_goal, other)
        length = np.linalg.norm(T_goal[:3, 3] - planner.kinematics.fk(start)[:3, 3])
        return joints, float(travel[-1]) / length


def filled(path, step=0.05):
    """A path (n, 7) with points between its corners, as MoveIt fills its up."""
    points = [path[:1]]
    for a, b in zip(path[:-1], path[1:]):
        count = max(int(np.ceil(np.abs(b - a).max() / step)), 1)
        points.append(a + np.linspace(0, 1, count + 1)[1:, None] * (b - a))
    return np.vstack(points)


class _Commander:
    """A MoveGroupCommander without its constructor and compute_cartesian_path, which versions have differently."""

    def __init__(self, fake, name, ns):
        self._fake, self._side = fake, {"left_arm": "left", "right_arm": "right"}[name]
        self.ns, self._start, self._goal = ns, None, None
        self.planner_id, self.seconds, self.attempts = "", 5.0, 1
        # MoveIt's own: poses are of the model's root, and of the chain's last link
        self.frame, self.link = "world", f"{self._side}_gripper"

    def set_planner_id(self, planner_id):
        self.planner_id = planner_id

    def set_num_planning_attempts(self, attempts):
        self.attempts = attempts

    def set_planning_time(self, seconds):
        assert seconds > 0
        self.seconds = seconds

    def set_pose_reference_frame(self, frame):
        self.frame = frame

    def set_end_effector_link(self, link):
        if link != f"{self._side}_gripper":
            raise MoveItCommanderException("Unable to set end effector link")
        self.link = link

    def set_start_state(self, state):
        self._start = state

    def set_joint_value_target(self, target):
        assert set(target) == set(arm_joints(self._side))
        kinematics = self._fake._planners[self._side].kinematics
        goal = np.array([target[name] for name in arm_joints(self._side)])
        if np.any(goal < kinematics.lower) or np.any(goal > kinematics.upper):
            raise MoveItCommanderException("Error setting joint target. Is the target within bounds?")
        self._goal = goal

    def _joints(self):
        """Joints of this arm and of the other in the start state."""
        assert self._start.is_diff, "else head and fingers are taken at zero"
        state = dict(zip(self._start.joint_state.name, self._start.joint_state.position))
        other = "right" if self._side == "left" else "left"
        assert all(type(value) is float for value in state.values()), "the message takes floats"
        both = [[state.get(name) for name in arm_joints(side)] for side in (self._side, other)]
        return np.array(both[0]), None if both[1][0] is None else np.array(both[1])

    def plan(self):
        fake, (start, other) = self._fake, self._joints()
        fake.plans.append(
            SimpleNamespace(start=start, other=other, goal=self._goal, commander=self, seconds=self.seconds)
        )
        answer = fake.answers.pop(0) if fake.answers else None
        if answer is None:
            answer = fake.path(self._side, start, self._goal, other)
        return self._reply(*self._scripted(answer))

    def _scripted(self, answer):
        if isinstance(answer, str) and answer == HANG:
            self._fake.released.wait(60)
            answer = "FAILURE"
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return np.zeros((0, 7)), 0 if answer == RECALLED else CODES[answer]
        return answer, CODES["SUCCESS"]

    def _reply(self, joints, code):
        if self._fake.version < (1, 1):
            return self._trajectory(joints)
        return code == CODES["SUCCESS"], self._trajectory(joints), 0.02, SimpleNamespace(val=code)

    def _trajectory(self, joints):
        names = sorted(arm_joints(self._side)) if len(joints) else []
        order = [arm_joints(self._side).index(name) for name in names]
        points = [SimpleNamespace(positions=list(q[order])) for q in np.asarray(joints, float)]
        return SimpleNamespace(joint_trajectory=SimpleNamespace(joint_names=names, points=points))

    def _cartesian(self, waypoints, eef_step, avoid_collisions):
        fake, (start, other) = self._fake, self._joints()
        assert self.frame == "base" and avoid_collisions is True and 0 < eef_step <= 0.02 and len(waypoints) == 1
        T_goal = matrix(waypoints[0])
        fake.straights.append(SimpleNamespace(start=start, other=other, T_goal=T_goal, step=eef_step))
        answer = fake.lines.pop(0) if fake.lines else None
        if isinstance(answer, (str, Exception)):
            self._scripted(answer)
        if not fake.running:
            return self._trajectory(np.zeros((0, 7))), -1.0
        if isinstance(answer, np.ndarray):
            return self._trajectory(answer), 1.0
        joints, fraction = fake.line(self._side, start, T_goal, other)
        if answer is not None:
            joints, fraction = joints[: int(answer * len(joints)) + 1], answer
        return self._trajectory(joints), fraction


def matrix(pose_message):
    """T (4, 4) of a geometry_msgs/Pose."""
    from scipy.spatial.transform import Rotation

    T, p, o = np.eye(4), pose_message.position, pose_message.orientation
    T[:3, :3], T[:3, 3] = Rotation.from_quat([o.x, o.y, o.z, o.w]).as_matrix(), (p.x, p.y, p.z)
    return T
