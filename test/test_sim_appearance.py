"""Light, surfaces and their variation with the seed."""

import mujoco
import numpy as np
import pytest

from grasp_learning.sim.appearance import Appearance, AppearanceSettings, light_colour, table_texture

RUN = np.arange(0.0, 3600.0, 10.0)


def scene(seed, **settings):
    """A table and a floor, compiled."""
    spec = mujoco.MjSpec()
    for name in ("table", "floor"):
        spec.worldbody.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=[1, 1, 0.1])
    appearance = Appearance(seed, AppearanceSettings(**settings))
    appearance.apply(spec)
    return appearance, spec.compile()


def test_same_seed_same_scene():
    (first, model), (second, other) = scene(5), scene(5)
    assert np.array_equal(model.light_diffuse, other.light_diffuse)
    assert np.array_equal(model.tex_data, other.tex_data)
    assert np.array_equal(first.light_factor(123.0), second.light_factor(123.0))


def test_another_seed_another_light_and_table():
    (_, model), (_, other) = scene(5), scene(6)
    assert np.abs(model.light_diffuse - other.light_diffuse).max() > 0.005
    assert np.abs(model.light_pos - other.light_pos).max() > 0.02
    assert not np.array_equal(model.tex_data, other.tex_data)


@pytest.mark.parametrize("seed", range(8))
def test_table_is_dull_white_with_marks(seed):
    image = table_texture(np.random.default_rng(seed)).astype(float)
    assert image.shape[2] == 3 and 190 < image.mean() < 220
    assert np.ptp(image.mean(axis=(0, 1))) < 12, "not white but coloured"
    assert 1.5 < image.std() < 12, "neither uniform nor busy"
    assert image.min() < 180, "no stain or scratch"


def test_both_surfaces_are_dressed():
    _, model = scene(0)
    assert model.geom("table").matid[0] >= 0
    assert not np.allclose(model.geom("floor").rgba[:3], 0.5)


def test_scene_without_table_is_lit_as_well():
    spec = mujoco.MjSpec()
    Appearance(0).apply(spec)
    assert spec.compile().nlight == 2


@pytest.mark.parametrize("seed", range(5))
def test_drift_is_slow_bounded_and_not_nothing(seed):
    appearance = Appearance(seed, AppearanceSettings(drift=0.08))
    factors = np.array([appearance.light_factor(t) for t in RUN])
    assert np.abs(factors - 1).max() <= 0.08
    assert np.ptp(factors, axis=0).min() > 0.02, "the light stays as it is"
    a_minute = np.abs(factors[6:] - factors[:-6])
    assert a_minute.mean() > 0.001 and a_minute.max() < 0.04


def test_drift_can_be_switched_off():
    appearance = Appearance(1, AppearanceSettings(drift=0.0))
    assert np.allclose(appearance.light_factor(500.0), 1.0)


def test_update_sets_the_light_of_a_model():
    appearance, model = scene(2)
    base = model.light("lamp").diffuse.copy()
    appearance.update(model, 777.0)
    assert np.allclose(model.light("lamp").diffuse, base * appearance.light_factor(777.0), atol=1e-6)
    assert not np.allclose(model.light("lamp").diffuse, base, atol=1e-4)
    appearance.update(model, 777.0)
    assert np.allclose(model.light("lamp").diffuse, base * appearance.light_factor(777.0), atol=1e-6)


def test_shadows_can_be_switched_off():
    _, with_shadows = scene(0)
    _, without = scene(0, shadows=False)
    assert with_shadows.vis.quality.shadowsize > 0 and without.vis.quality.shadowsize == 0
    assert with_shadows.light("lamp").castshadow[0] and not without.light("lamp").castshadow[0]


def test_warm_light_is_red_and_cold_light_blue():
    warm, cold = light_colour(2700), light_colour(9000)
    assert warm[0] > warm[1] > warm[2] and cold[2] > cold[0]
    assert light_colour(6500).min() > 0.97
