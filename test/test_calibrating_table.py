"""The table's height from depth and by touch: noise, things that lie on it, and what is no table."""

import numpy as np
import pytest
from calibration_samples import CALIBRATION, KINECT
from scipy.spatial.transform import Rotation

from grasp_learning.calibrating.errors import NoTable
from grasp_learning.calibrating.table import plane_from_depth, plane_from_points
from grasp_learning.geometry import transform

T_BASE_KINECT = CALIBRATION.T_base_kinect.matrix
TABLE = CALIBRATION.table
ROUGH = TABLE.model_copy(update={"z": -0.13})
MIDDLE = np.array([0.75, 0.0])


def depth_of(slope=(0.0, 0.0), z=-0.10, seed=0, noise=0.0015, step=4):
    """Depth (m) of a Kinect over an endless plane, NaN where no pixel of a coarse grid is."""
    rng = np.random.default_rng(seed)
    depth = np.full((1080, 1920), np.nan)
    rows, columns = np.mgrid[0:1080:step, 0:1920:step]
    rays = KINECT.rays(np.stack([columns, rows], axis=2).reshape(-1, 2))
    normal = np.array([-slope[0], -slope[1], 1.0])
    above = np.array([*MIDDLE, z]) - T_BASE_KINECT[:3, 3]
    distance = (normal @ above) / (rays @ T_BASE_KINECT[:3, :3].T @ normal)
    values = distance + rng.normal(0, noise, len(distance))
    depth[rows, columns] = np.where(distance > 0, values, np.nan).reshape(rows.shape)
    # as a picture without gaps: the nearest of the coarse grid
    return np.repeat(np.repeat(depth[::step, ::step], step, axis=0), step, axis=1)[:1080, :1920]


def shown(depth, table=ROUGH):
    return plane_from_depth(depth, KINECT, T_BASE_KINECT, table)


def test_the_table_is_found_within_a_millimetre_for_20_seeds():
    planes = [shown(depth_of(seed=seed, step=2)) for seed in range(20)]
    # neighbouring pixels share one value here, which moves points by up to a pixel: 0.7 mm of height
    assert max(abs(plane.z + 0.10) for plane in planes) < 0.0015
    assert max(plane.tilt for plane in planes) < np.radians(0.2)
    assert 0.0005 < np.mean([plane.rms for plane in planes]) < 0.003


def test_boxes_and_holes_do_not_move_it():
    depth = depth_of()
    depth[300:500, 500:900] -= 0.08
    depth[600:700, 900:1300] -= 0.02
    depth[350:600, 1000:1200] = np.nan
    assert shown(depth).z == pytest.approx(-0.10, abs=0.002)


def test_a_slightly_tilted_table_is_measured_in_its_middle():
    plane = shown(depth_of(slope=(0.01, -0.01)))
    assert plane.z == pytest.approx(-0.10, abs=0.002) and plane.tilt == pytest.approx(0.0141, abs=0.003)


def test_what_is_no_table_is_an_error():
    with pytest.raises(NoTable, match="tilted by .* degrees"):
        shown(depth_of(slope=(0.08, 0.0)))
    with pytest.raises(NoTable, match="shows 0 % of the table"):
        shown(np.full((1080, 1920), np.nan))
    with pytest.raises(NoTable, match="shows .* % of the table.*rough height"):
        shown(depth_of(z=0.10))
    heap = depth_of() - np.random.default_rng(0).uniform(0.0, 0.10, (1080, 1920))
    with pytest.raises(NoTable, match="lie in one plane.*clear the table"):
        shown(heap)


def test_touched_points_give_height_and_tilt():
    points = np.array([(0.6, 0.15, -0.101), (0.78, 0.15, -0.101), (0.7, 0.45, -0.101)])
    plane = plane_from_points(points, TABLE)
    assert plane.z == pytest.approx(-0.101) and plane.tilt == pytest.approx(0.0, abs=1e-9) and plane.points == 3
    tilted = points @ transform(Rotation.from_euler("x", 0.02).as_matrix(), [0, 0, 0])[:3, :3].T
    assert plane_from_points(tilted, TABLE).tilt == pytest.approx(0.02, abs=1e-6)
    with pytest.raises(NoTable, match="tilted by 5.7 degrees"):
        plane_from_points(points @ Rotation.from_euler("x", 0.1).as_matrix().T, TABLE)


@pytest.mark.parametrize(
    "points", [np.zeros((0, 3)), [(0.6, 0.1, -0.1)] * 2, [(x, 0.1, -0.1) for x in (0.6, 0.7, 0.8)]]
)
def test_points_that_give_no_plane_are_an_error(points):
    with pytest.raises(NoTable, match="give no plane: touch three or more"):
        plane_from_points(np.array(points), TABLE)
