"""The object catalogue: enough objects, reproducible, disjoint splits, physically sensible."""

import mujoco
import numpy as np
import pytest

from grasp_learning.robot_description import GAP_CLOSED, GAP_OPEN
from grasp_learning.sim.objects import FRICTION_RANGE, MASS_RANGE, add_to_spec, catalogue
from grasp_learning.sim.shapes import box, horizontal_widths

SPACING = 0.5


def all_objects(seed=0):
    return catalogue("train", seed) + catalogue("test", seed)


@pytest.fixture(scope="module")
def settled():
    """Every object put down on its own spot of a plane, after 2 s: (objects, model, data)."""
    objects = all_objects()
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.002
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    spec.worldbody.add_geom(name="plane", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    for index, obj in enumerate(objects):
        pos = (SPACING * (index % 14), SPACING * (index // 14), obj.extents[2] / 2 + 0.001)
        add_to_spec(spec, obj, pos=pos)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1000)
    return objects, model, data


def test_enough_objects_with_unique_names():
    train, test = catalogue("train"), catalogue("test")
    assert len(train) >= 150 and len(test) == 15
    names = [obj.name for obj in train + test]
    assert len(set(names)) == len(names)


def test_test_objects_are_of_other_make():
    train, test = catalogue("train"), catalogue("test")
    assert not {o.category for o in train} & {o.category for o in test}
    patterns = [{o.texture.pattern for o in split if o.texture} for split in (train, test)]
    assert not patterns[0] & patterns[1]


def test_no_two_objects_are_equal():
    assert len({(obj.geoms, obj.mass) for obj in all_objects()}) == len(all_objects())


def test_same_seed_same_objects_and_another_seed_others():
    assert all_objects(3) == all_objects(3)
    ours, theirs = all_objects(3), all_objects(4)
    assert all(a != b for a, b in zip(ours, theirs))


def test_unknown_split_is_an_error():
    with pytest.raises(ValueError, match="train, test"):
        catalogue("validation")


def test_mass_friction_and_geom_counts():
    for obj in all_objects():
        assert MASS_RANGE[0] <= obj.mass <= MASS_RANGE[1]
        assert FRICTION_RANGE[0] <= obj.friction <= FRICTION_RANGE[1]
        assert len(obj.geoms) <= 14, obj.name
        assert max(obj.extents) < 0.30, obj.name


def test_some_are_too_wide_some_too_thin_most_can_be_held():
    train = catalogue("train")
    assert sum(obj.too_wide for obj in train) >= 10
    assert sum(obj.too_thin for obj in train) >= 8
    assert sum(bool(obj.graspable_widths) for obj in train) >= 75
    assert len(catalogue("test")) > sum(bool(obj.graspable_widths) for obj in catalogue("test")) >= 10
    for obj in train:
        assert all(GAP_CLOSED < width < GAP_OPEN for width in obj.graspable_widths)
        assert bool(obj.graspable_widths) + obj.too_wide + obj.too_thin == 1


def test_widths_of_a_known_box():
    widths = horizontal_widths([box((0.06, 0.03, 0.1), (0.2, 0, 0))], directions=4)
    diagonal = (0.06 + 0.03) / np.sqrt(2)
    assert np.allclose(widths, [0.06, diagonal, 0.03, diagonal])


def test_compiled_mass_is_the_objects(settled):
    objects, model, _ = settled
    for obj in objects:
        assert model.body(obj.name).mass[0] == pytest.approx(obj.mass, rel=1e-6)
        assert (model.body(obj.name).inertia > 0).all()


def test_objects_rest_where_they_were_put(settled):
    objects, _, data = settled
    for index, obj in enumerate(objects):
        joint = data.joint(f"{obj.name}_joint")
        assert np.linalg.norm(joint.qvel[:3]) < 0.01, obj.name
        assert np.linalg.norm(joint.qpos[:2] - SPACING * np.array([index % 14, index // 14])) < 0.03, obj.name
        assert abs(joint.qpos[2] - obj.extents[2] / 2) < 0.01, obj.name


def test_a_pushed_ball_stops():
    ball = next(obj for obj in catalogue("train") if obj.category == "ball")
    spec = mujoco.MjSpec()
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
    add_to_spec(spec, ball, "ball", (0, 0, ball.extents[2] / 2))
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qvel[0] = 0.2
    mujoco.mj_step(model, data, 2000)
    assert np.abs(data.qvel).max() < 0.02
    assert 0.0 < data.qpos[0] < 0.3


def test_the_objects_friction_decides_its_contacts(settled):
    objects, model, data = settled
    friction = {obj.name: obj.friction for obj in objects}
    checked = 0
    for contact in data.contact:
        body = model.body(int(max(model.geom_bodyid[contact.geom1], model.geom_bodyid[contact.geom2]))).name
        assert contact.friction[0] == pytest.approx(friction[body])
        checked += 1
    assert checked > len(objects)


def test_textured_parts_wear_the_pattern(settled):
    objects, model, _ = settled
    with_pattern = [obj for obj in objects if obj.texture]
    assert 0.3 < len(with_pattern) / len(objects) < 0.8
    obj = with_pattern[0]
    part = next(i for i, geom in enumerate(obj.geoms) if geom.textured)
    assert model.geom(f"{obj.name}_geom{part}").matid[0] >= 0
    assert len(np.unique(obj.texture.image().reshape(-1, 3), axis=0)) > 1
