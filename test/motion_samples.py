"""What the tests of the motion modules share: the robot, a table, and geometry computed in a second way."""

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_learning.calibration import Table
from grasp_learning.motion.robot_model import RobotModel
from grasp_learning.motion.shapes import arm_capsules
from grasp_learning.robot_description import load_urdf

TABLE = Table(z=-0.10, x_min=0.45, x_max=1.05, y_min=-0.60, y_max=0.60)
ROBOT = RobotModel(load_urdf())


def link_poses(side, q):
    """T_base_link of the seven moving links, by a plain product of transforms."""
    T, poses = np.eye(4), {}
    chain = ROBOT.arm_joints(side)
    T = ROBOT.carrier(chain[0].parent)[1]
    for joint, angle in zip(chain, q):
        if poses:
            T = T @ ROBOT.carrier(joint.parent)[1]
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec(angle * joint.axis).as_matrix()
        T = T @ joint.T_parent_joint @ turn
        poses[joint.child] = T
    return poses


def capsule_points(side, q, count=15):
    """Points (m, 3) along the axes of an arm's capsules, and the radius (m,) at each."""
    poses, points, radii = link_poses(side, q), [], []
    for capsule in arm_capsules(ROBOT, side):
        T = poses[capsule.carrier]
        ends = capsule.ends @ T[:3, :3].T + T[:3, 3]
        number = count if capsule.half_length else 1
        points.append(ends[0] + np.linspace(0, 1, number)[:, None] * (ends[1] - ends[0]))
        radii.append(np.full(number, capsule.radius))
    return np.vstack(points), np.concatenate(radii)


def arms_distance(q_left, q_right):
    """Distance (m) between the two arms' capsules, to a millimetre or two; negative where they meet."""
    (points_a, radii_a), (points_b, radii_b) = capsule_points("left", q_left), capsule_points("right", q_right)
    distances = np.linalg.norm(points_a[:, None] - points_b[None], axis=2)
    return float((distances - radii_a[:, None] - radii_b[None]).min())


def box_distance(side, q, box):
    """Distance (m) between an arm's capsules and a box."""
    points, radii = capsule_points(side, q, count=60)
    outside = np.maximum(np.abs(points - box.center) - np.asarray(box.size) / 2, 0.0)
    return float((np.linalg.norm(outside, axis=1) - radii).min())
