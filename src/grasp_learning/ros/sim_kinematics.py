"""The robot's own inverse kinematics service."""

import threading
from typing import Callable, Iterator, Optional, Tuple

import numpy as np
import rospy
from baxter_core_msgs.srv import SolvePositionIK, SolvePositionIKRequest, SolvePositionIKResponse
from geometry_msgs.msg import Pose, PoseStamped
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState

from grasp_learning.geometry import transform
from grasp_learning.motion.kinematics import NEUTRAL, Kinematics
from grasp_learning.motion.robot_model import RobotModel

BASE_FRAMES = ("base", "/base")


class KinematicsService:
    """Service ExternalTools/<side>/PositionKinematicsNode/IKService (SolvePositionIK), in the frame ``base``.

    A pose without a solution, or in another frame, is answered with isValid false.

    Args:
        current: returns the arm's present joint positions (7,).
    """

    def __init__(self, robot: RobotModel, side: str, current: Callable[[], np.ndarray]):
        self._kinematics = Kinematics(robot, side)
        self._current = current
        self._lock = threading.Lock()  # rospy serves each connection in a thread of its own
        self._service = rospy.Service(
            f"ExternalTools/{side}/PositionKinematicsNode/IKService", SolvePositionIK, self.solve
        )

    def solve(self, request: SolvePositionIKRequest) -> SolvePositionIKResponse:
        """Solve each pose of a request."""
        with self._lock:
            answers = [self._solve_one(request, index) for index in range(len(request.pose_stamp))]
        response = SolvePositionIKResponse()
        for _, angles in answers:
            found = angles is not None
            message = JointState(name=self._kinematics.joint_names, position=angles.tolist()) if found else JointState()
            response.joints.append(message)
            response.isValid.append(found)
        response.result_type = bytes(kind for kind, _ in answers)
        return response

    def _solve_one(self, request: SolvePositionIKRequest, index: int) -> Tuple[int, Optional[np.ndarray]]:
        """The kind of seed that led to a solution, and the solution; RESULT_INVALID and None without one."""
        stamped: PoseStamped = request.pose_stamp[index]
        T_base_gripper = _pose_matrix(stamped.pose)
        if stamped.header.frame_id in BASE_FRAMES and T_base_gripper is not None:
            for kind, seed in self._seeds(request, index):
                solutions = self._kinematics.ik(T_base_gripper, seed, max_solutions=1)
                if solutions:
                    return kind, solutions[0]
        return SolvePositionIKResponse.RESULT_INVALID, None

    def _seeds(self, request: SolvePositionIKRequest, index: int) -> Iterator[Tuple[int, np.ndarray]]:
        """Seeds to try, by their kind: all for SEED_AUTO, else the one that is asked for."""
        mode = request.seed_mode
        if mode in (request.SEED_AUTO, request.SEED_USER) and index < len(request.seed_angles):
            given = dict(zip(request.seed_angles[index].name, request.seed_angles[index].position))
            if all(name in given for name in self._kinematics.joint_names):
                yield request.SEED_USER, np.array([given[name] for name in self._kinematics.joint_names])
        if mode in (request.SEED_AUTO, request.SEED_CURRENT):
            yield request.SEED_CURRENT, self._current()
        if mode in (request.SEED_AUTO, request.SEED_NS_MAP):
            yield request.SEED_NS_MAP, NEUTRAL


def _pose_matrix(pose: Pose) -> Optional[np.ndarray]:
    """(4, 4) transform, or None where the quaternion or position is not usable."""
    rotation = np.array([pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w])
    position = np.array([pose.position.x, pose.position.y, pose.position.z])
    if not np.isfinite([*rotation, *position]).all() or not np.linalg.norm(rotation) > 0.0:
        return None
    return transform(Rotation.from_quat(rotation).as_matrix(), position)
