"""Guided samplers execute what a model proposes, inside the region, and say why where it proposes nothing.

The predictor here is made up, except for its ranking: what a model thinks of a place is a formula.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from grasp_learning.checkpoint import PatchGeometry
from grasp_learning.config import ConfigError
from grasp_learning.geometry import Camera, angle_to_bin, base_angle_to_image, bin_to_angle, transform
from grasp_learning.patches import PatchSettings
from grasp_learning.predictor.errors import PredictionError
from grasp_learning.predictor.predictor import Prediction, Predictor
from grasp_learning.predictor.ranking import draw_entry, rank
from grasp_learning.predictor.settings import PredictorSettings
from grasp_learning.sampling import SamplerSettings, create_sampler
from grasp_learning.trial import Outcome, Region

TABLE_Z = -0.10
CAMERA = Camera(1280, 800, np.array([[810.0, 0, 639.5], [0, 810.0, 399.5], [0, 0, 1]]))
DISTORTED = Camera(1280, 800, CAMERA.K, np.array([-0.05, 0.02, 0.001, -0.001, 0.0]))
IMAGE = np.random.default_rng(0).integers(0, 256, (800, 1280, 3), dtype=np.uint8)
T_BASE_CAMERA = transform(np.diag([1.0, -1.0, -1.0]), [0.7, 0.25, TABLE_Z + 0.39])
GOOD_BIN = 4


def region(x=0.7, y=0.25, half=0.04, height=0.05):
    outline = np.array([[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]])
    return Region("left", 3.0, np.array([x, y, TABLE_Z]), height, outline, (0, 0, 1, 1))


class MadeUpPredictor:
    """Likes places to the right, at one angle; its neighbourhoods like the left."""

    name = "made_up.safetensors"
    importance, best = Predictor.importance, Predictor.best

    def __init__(self, patch=None, top=20, count=200, rerank=False):
        self.settings = PredictorSettings(places={"count": count}, importance_top=top, rerank={"enabled": rerank})
        self.checkpoint = SimpleNamespace(info=SimpleNamespace(patch=patch or PatchGeometry()))
        self.top, self.count = top, count

    def predict(self, image, patch_side, rng, places=None, rerank=None):
        matrix = np.full((len(places), 18), 0.01, np.float32)
        matrix[:, GOOD_BIN] = 0.1 + 0.8 * (places[:, 0] - places[:, 0].min()) / np.ptp(places[:, 0])
        exact = np.ones(len(places), bool)
        ranked = rank(places, matrix, exact, 10)
        reorder = self.settings.rerank.enabled if rerank is None else rerank
        return Prediction(
            places, matrix, exact, ranked[::-1] if reorder else ranked, patch_side, self.name, "c0de", 1, {}, self.top
        )


def draw(mode="staged", predictor=None, seed=0, camera=CAMERA, image=IMAGE, settings=None, where=None):
    sampler = create_sampler(mode, settings or SamplerSettings(), predictor or MadeUpPredictor())
    return sampler.sample(image, where or region(), camera, T_BASE_CAMERA, TABLE_Z, np.random.default_rng(seed))


@pytest.mark.parametrize("mode, name", [("staged", "importance"), ("best", "best")])
@pytest.mark.parametrize("camera", [CAMERA, DISTORTED])
def test_a_grasp_is_a_place_of_the_matrix_taken_to_the_table(mode, name, camera):
    step = draw(mode, camera=camera)
    grasp, prior = step.value, step.prior
    assert step.outcome is Outcome.SUCCESS and grasp.sampler == name
    assert (grasp.u, grasp.v) == tuple(prior.places[prior.place])
    assert grasp.bin == prior.bin == angle_to_bin(grasp.theta_image)
    assert grasp.theta_image == bin_to_angle(grasp.bin)
    assert base_angle_to_image(grasp.theta, T_BASE_CAMERA) == pytest.approx(grasp.theta_image)
    assert grasp.score == pytest.approx(prior.probabilities[prior.place, prior.bin])
    point = np.array([[grasp.x, grasp.y, TABLE_Z + 0.025]])
    np.testing.assert_allclose(camera.base_to_pixels(point, T_BASE_CAMERA)[0], [grasp.u, grasp.v], atol=0.05)
    assert abs(grasp.x - 0.7) <= 0.0411 and abs(grasp.y - 0.25) <= 0.0411
    assert (grasp.arm, grasp.patch_size, grasp.z) == ("left", 380, pytest.approx(TABLE_Z + 0.012))


def test_the_prior_is_the_whole_matrix_with_the_models_name():
    prior = draw().prior
    assert prior.places.shape[0] == prior.probabilities.shape[0] >= 190 and prior.probabilities.shape[1] == 18
    assert (prior.model, prior.model_sha256, prior.patch_size) == ("made_up.safetensors", "c0de", 380)


def test_every_place_shows_the_region():
    places = draw(camera=DISTORTED).prior.places
    points = DISTORTED.pixels_to_plane(places, T_BASE_CAMERA, TABLE_Z + 0.025)
    assert np.abs(points[:, :2] - [0.7, 0.25]).max() <= 0.0411


def test_importance_draws_among_the_likely_ones():
    scores = [draw(seed=seed).value.score for seed in range(30)]
    assert min(scores) > 0.75 and len(set(scores)) > 15


def test_the_best_sampler_can_draw_instead_among_all():
    best = create_sampler("best", SamplerSettings(), MadeUpPredictor(top=20))
    steps = [
        best.drawing.sample(IMAGE, region(), CAMERA, T_BASE_CAMERA, TABLE_Z, np.random.default_rng(seed))
        for seed in range(30)
    ]
    scores = [step.value.score for step in steps]
    assert {step.value.sampler for step in steps} == {"importance"}
    assert min(scores) < 0.5 < max(scores)  # the 20 best are all above 0.75
    staged = create_sampler("staged", SamplerSettings(), MadeUpPredictor())
    assert staged.drawing is staged


@pytest.mark.parametrize("rerank, place", [(False, -1), (True, -10)])
def test_best_takes_the_best_entry_or_where_it_re_ranks_the_best_neighbourhood(rerank, place):
    step = draw("best", MadeUpPredictor(rerank=rerank))
    assert step.value.score == pytest.approx(np.sort(step.prior.probabilities.max(axis=1))[place])


def test_angles_can_be_uniform_in_their_bin():
    settings = SamplerSettings(explore_angles=True)
    grasps = [draw(seed=seed, settings=settings).value for seed in range(40)]
    assert {grasp.bin for grasp in grasps} == {GOOD_BIN}
    offsets = np.degrees([grasp.theta_image - bin_to_angle(GOOD_BIN) for grasp in grasps])
    assert -5 <= offsets.min() < -3 and 3 < offsets.max() <= 5


def test_same_seed_same_grasp():
    assert draw(seed=4).value == draw(seed=4).value != draw(seed=5).value


def test_a_blank_picture_is_unreachable_and_says_why():
    step = draw(image=np.full_like(IMAGE, 200))
    assert step.outcome is Outcome.UNREACHABLE and step.value is None and "nothing to look at" in step.message


@pytest.mark.parametrize("where", [region(x=0.2), region(y=1.5), region(half=1e-6)])
def test_a_region_that_the_camera_does_not_see_is_unreachable(where):
    step = draw(where=where)
    assert step.outcome is Outcome.UNREACHABLE and "patch of 380 px" in step.message


@pytest.mark.parametrize("image", [IMAGE[:400], IMAGE[..., 0], IMAGE.astype(float), None])
def test_a_picture_that_is_none_of_the_camera_is_a_fault_of_the_sensor(image):
    step = draw(image=image)
    assert step.outcome is Outcome.SENSOR_FAULT and "picture" in step.message


@pytest.mark.parametrize("mode", ["staged", "best"])
def test_a_guided_mode_without_a_model_names_the_key(mode):
    with pytest.raises(ConfigError, match=f"'{mode}' needs a model: set 'model'"):
        create_sampler(mode, SamplerSettings())


@pytest.mark.parametrize(
    "patch, trained, message",
    [
        (PatchSettings(footprint=0.15), PatchGeometry(), r"patches of 0.183 m.*the sampler's are 0.225 m"),
        (PatchSettings(scale=1.0), PatchGeometry(), "0.122 m"),
        (PatchSettings(forced_size=300), PatchGeometry(side=380), "380 px, patch.forced_size is 300"),
    ],
)
def test_a_model_of_another_patch_geometry_is_refused(patch, trained, message):
    with pytest.raises(ConfigError, match=message):
        create_sampler("staged", SamplerSettings(patch=patch), MadeUpPredictor(trained))


def test_a_draw_is_in_proportion_to_the_entries():
    matrix = np.zeros((3, 18), np.float32)
    matrix[0, 2], matrix[2, 5], matrix[1, 1] = 0.6, 0.2, 0.19
    rng = np.random.default_rng(0)
    exact = np.ones(3, bool)
    drawn = [draw_entry(matrix, exact, 2, rng) for _ in range(2000)]
    assert set(drawn) == {(0, 2), (2, 5)}
    assert drawn.count((0, 2)) / 2000 == pytest.approx(0.75, abs=0.03)
    everything = [draw_entry(matrix, np.zeros(3, bool), 0, rng) for _ in range(2000)]
    assert set(everything) == {(0, 2), (2, 5), (1, 1)}
    assert everything.count((1, 1)) / 2000 == pytest.approx(0.19 / 0.99, abs=0.03)


@pytest.mark.parametrize("top", [0, 2])
def test_a_matrix_of_zeros_cannot_be_drawn_from(top):
    with pytest.raises(PredictionError, match="no grasp any probability"):
        draw_entry(np.zeros((3, 18), np.float32), np.ones(3, bool), top, np.random.default_rng(0))


def test_entries_that_are_not_exact_are_not_ranked():
    matrix = np.zeros((3, 18), np.float32)
    matrix[:, 3] = [0.9, 0.5, 0.7]
    ranked = rank(np.eye(3)[:, :2], matrix, np.array([False, True, True]), 5)
    assert [place.place for place in ranked] == [2, 1]
