"""Forward and inverse kinematics of one Baxter arm.

MuJoCo computes poses and Jacobians (about a microsecond each); the inverse is damped least squares with the
damping tied to the error (Sugihara 2011), which converges near singularities and at joint limits.
"""

from typing import List, Optional, Sequence

import mujoco
import numpy as np
from scipy.linalg.lapack import dposv

from grasp_learning.geometry import transform
from grasp_learning.motion.robot_model import JOINT_SUFFIXES, NEUTRAL, RobotModel

__all__ = ["JOINT_SUFFIXES", "NEUTRAL", "Kinematics", "RobotModel", "add_arm_bodies", "quaternion"]

POSITION_TOLERANCE = 5e-5  # m; ten times finer than the executor needs
ANGLE_TOLERANCE = 3e-4  # rad
FOLLOW_TOLERANCE = 1e-6  # m and rad; points of one line, whose differences become velocities
MAX_ITERATIONS = 40  # of one seed; a seed that converges needs 5 to 15
MAX_STEP = 0.6  # rad of one joint in one iteration, so that the linear model stays meaningful
DISTINCT = 0.05  # rad; closer solutions count as one


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(w, x, y, z) of a (3, 3) rotation matrix."""
    result = np.zeros(4)
    mujoco.mju_mat2Quat(result, np.ascontiguousarray(rotation, float).reshape(9))
    return result


def add_arm_bodies(spec: "mujoco.MjSpec", robot: RobotModel, side: str) -> dict:
    """Add one body for each joint of an arm to a MuJoCo specification whose world is the base frame.

    Returns:
        The bodies by the name of the link they carry.
    """
    bodies, parent_body, parent_link = {}, spec.worldbody, None
    for joint in robot.arm_joints(side):
        carrier, T_carrier_parent = robot.carrier(joint.parent)
        if parent_link is not None and carrier != parent_link:
            raise ValueError(f"joint {joint.name} hangs on {carrier}, not on {parent_link}")
        T = T_carrier_parent @ joint.T_parent_joint
        parent_body = parent_body.add_body(name=joint.child, pos=T[:3, 3], quat=quaternion(T[:3, :3]))
        # no masses: these models are never stepped; MuJoCo wants some inertia on moving bodies
        parent_body.mass, parent_body.inertia, parent_body.explicitinertial = 1.0, [1, 1, 1], True
        parent_body.add_joint(
            name=joint.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=joint.axis, range=[joint.lower, joint.upper]
        )
        parent_link = joint.child
        bodies[parent_link] = parent_body
    return bodies


class Kinematics:
    """Kinematics of the ``left`` or ``right`` arm, in the base frame; joints are (7,) arrays s0..w2 (rad).

    Not safe for use by several threads at once: make one for each.

    Attributes:
        lower, upper: (7,) joint limits (rad).
    """

    LINKS = ("gripper", "hand", "hand_camera", "hand_range")
    POINTS = ("upper elbow", "lower elbow", "upper forearm", "lower forearm", "wrist", "hand", "fingertips")

    def __init__(self, robot: RobotModel, side: str):
        self.robot, self.side = robot, side
        self.joint_names = [joint.name for joint in robot.arm_joints(side)]
        self.lower = np.array([joint.lower for joint in robot.arm_joints(side)])
        self.upper = np.array([joint.upper for joint in robot.arm_joints(side)])
        spec = mujoco.MjSpec()
        bodies = add_arm_bodies(spec, robot, side)
        for link in self.LINKS:
            carrier, T = robot.carrier(f"{side}_{link}")
            bodies[carrier].add_site(name=link, pos=T[:3, 3], quat=quaternion(T[:3, :3]))
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._sites = {link: self._model.site(link).id for link in self.LINKS}
        self._reach_center, self._reach = self._sphere_of_reach()
        self._jacobian = np.zeros((6, 7))

    def _sphere_of_reach(self):
        """A sphere about s1 that contains every reachable gripper position (a quick reject)."""
        self._forward(np.zeros(7))
        points = np.vstack([self._data.xanchor[1:], self._data.site_xpos[self._sites["gripper"]]])
        reach = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
        # s1 itself moves on a circle about s0's axis: centre the sphere on that axis
        radius = np.linalg.norm((points[0] - self._data.xanchor[0])[:2])
        center = np.array([*self._data.xanchor[0][:2], points[0][2]])
        return center, reach + radius

    def _forward(self, q: Sequence[float]) -> None:
        self._data.qpos[:] = q
        mujoco.mj_kinematics(self._model, self._data)

    def fk(self, q: Sequence[float], link: str = "gripper") -> np.ndarray:
        """T_base_link (4, 4) of ``gripper``, ``hand``, ``hand_camera`` or ``hand_range``.

        Raises:
            ValueError: another link, or q is not (7,).
        """
        if link not in self._sites:
            raise ValueError(f"no link '{link}'; choose from {', '.join(self.LINKS)}")
        self._forward(_checked(q))
        site = self._sites[link]
        return transform(self._data.site_xmat[site].reshape(3, 3), self._data.site_xpos[site])

    def points(self, q: Sequence[float]) -> np.ndarray:
        """(7, 3) places along the arm from the elbow on, in the base frame (m); POINTS names them."""
        self._forward(_checked(q))
        tool = [self._sites["hand"], self._sites["gripper"]]
        return np.vstack([self._data.xpos[-5:], self._data.site_xpos[tool]])

    def T_base_camera(self, q: Sequence[float]) -> np.ndarray:
        """T_base_camera (4, 4) of the wrist camera's optical frame."""
        return self.fk(q, "hand_camera")

    def jacobian(self, q: Sequence[float], link: str = "gripper") -> np.ndarray:
        """(6, 7) Jacobian of a link's frame: linear (m/rad), then angular (rad/rad) velocity, in the base frame."""
        self._forward(_checked(q))
        return self._site_jacobian(self._sites[link]).copy()

    def _site_jacobian(self, site: int) -> np.ndarray:
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian[:3], self._jacobian[3:], site)
        return self._jacobian

    def ik(
        self,
        T_base_gripper: np.ndarray,
        q_seed: Optional[Sequence[float]] = None,
        rng: Optional[np.random.Generator] = None,
        attempts: int = 8,
        max_solutions: Optional[int] = None,
    ) -> List[np.ndarray]:
        """Joint positions that bring the gripper to a pose.

        Starts from q_seed (neutral by default), from neutral, and from random postures. While nothing is found it
        tries up to three times ``attempts``; a pose out of reach is so given up within some ten milliseconds.

        Args:
            T_base_gripper: (4, 4) pose.
            q_seed: (7,) where to start; solutions near it come first.
            rng: source of the random postures; without one a fixed seed is used.
            attempts: how many starts are tried, also after a solution was found.
            max_solutions: stop as soon as so many distinct ones are found.

        Returns:
            Distinct solutions (7,) within the joint limits, nearest to q_seed first; empty when there are none.
        """
        q_seed = NEUTRAL if q_seed is None else _checked(q_seed)
        if np.linalg.norm(T_base_gripper[:3, 3] - self._reach_center) > self._reach:
            return []
        rng = np.random.default_rng(0) if rng is None else rng
        target = T_base_gripper[:3, 3].copy(), quaternion(T_base_gripper[:3, :3])
        solutions: List[np.ndarray] = []
        for attempt in range(3 * attempts):
            if solutions and attempt >= attempts:
                break
            q = self._solve(self._start(attempt, q_seed, rng), target)
            if q is not None and all(np.abs(q - other).max() > DISTINCT for other in solutions):
                solutions.append(q)
                if max_solutions is not None and len(solutions) >= max_solutions:
                    break
        return sorted(solutions, key=lambda q: np.linalg.norm(q - q_seed))

    def follow(self, q: Sequence[float], T_base_gripper: np.ndarray) -> Optional[np.ndarray]:
        """The solution (7,) next to q for a pose nearby, to a micrometre; None where q does not lead to one."""
        target = T_base_gripper[:3, 3].copy(), quaternion(T_base_gripper[:3, :3])
        return self._solve(_checked(q), target, FOLLOW_TOLERANCE, FOLLOW_TOLERANCE)

    def _start(self, attempt: int, q_seed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if attempt == 0:
            return q_seed
        if attempt == 1 and np.abs(q_seed - NEUTRAL).max() > DISTINCT:
            return NEUTRAL
        if attempt % 2 == 0:
            return np.clip(q_seed + rng.normal(0.0, 0.6, 7), self.lower, self.upper)
        return rng.uniform(self.lower, self.upper)

    def _solve(
        self, q: np.ndarray, target, position: float = POSITION_TOLERANCE, angle: float = ANGLE_TOLERANCE
    ) -> Optional[np.ndarray]:
        """One damped least squares descent; None where it does not converge."""
        q = np.clip(q, self.lower, self.upper)
        site = self._sites["gripper"]
        best, stalled = np.inf, 0
        for _ in range(MAX_ITERATIONS):
            self._forward(q)
            error = self._error(site, target)
            squared = float(error @ error)
            if np.abs(error[:3]).max() < position and np.abs(error[3:]).max() < angle:
                return q
            stalled = 0 if squared < 0.9 * best else stalled + 1
            if stalled > 6:  # against a joint limit or in a local minimum
                return None
            best = min(best, squared)
            J = self._site_jacobian(site)
            system = J @ J.T
            system.flat[::7] += 0.1 * squared + 1e-5
            dq = J.T @ dposv(system, error)[1]
            dq *= min(1.0, MAX_STEP / np.abs(dq).max())
            q = np.minimum(np.maximum(q + dq, self.lower), self.upper)
        return None

    def _error(self, site: int, target) -> np.ndarray:
        """(6,) translation (m) and rotation vector (rad) from the gripper to the target, in the base frame."""
        error, current, inverse, difference = np.empty(6), np.empty(4), np.empty(4), np.empty(4)
        error[:3] = target[0] - self._data.site_xpos[site]
        mujoco.mju_mat2Quat(current, self._data.site_xmat[site])
        mujoco.mju_negQuat(inverse, current)
        mujoco.mju_mulQuat(difference, target[1], inverse)
        mujoco.mju_quat2Vel(error[3:], difference, 1.0)
        return error


def _checked(q: Sequence[float]) -> np.ndarray:
    array = np.asarray(q, float)
    if array.shape != (7,):
        raise ValueError(f"expected 7 joint positions s0..w2, got shape {array.shape}")
    return array
