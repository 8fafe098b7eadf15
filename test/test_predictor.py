"""A predictor ranks grasps alike on both paths, says who it is, and refuses questions that have no answer.

The network is not trained: what is tested here does not depend on what it has learnt.
"""

import threading

import numpy as np
import pytest
import torch

from grasp_learning.checkpoint import Checkpoint, CheckpointError, CheckpointInfo, save_checkpoint
from grasp_learning.network import GraspNetwork
from grasp_learning.patches import crop_patch, resize_patch
from grasp_learning.predictor.dense import dense_probabilities
from grasp_learning.predictor.errors import BadImageError, NothingToLookAtError, PredictionError, RegionError
from grasp_learning.predictor.predictor import Predictor
from grasp_learning.predictor.settings import DenseSettings, PredictorSettings, RerankSettings

pytestmark = pytest.mark.usefixtures("one_thread")
SIDE = 100  # px
IMAGE = np.random.default_rng(7).integers(0, 256, (20, 30, 3), dtype=np.uint8).repeat(12, axis=0).repeat(12, axis=1)
MEAN = (104, 116, 124)  # BGR of ImageNet, which the network sees as zero


@pytest.fixture(scope="module")
def network():
    made = GraspNetwork(generator=torch.Generator().manual_seed(3)).eval()
    # larger answers than those of a fresh network, so that they differ from place to place
    with torch.no_grad():
        made.head.weight *= 5
    return made


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "stage2.safetensors"
    return Checkpoint(network, CheckpointInfo.of(network, stage=2), "ab" * 32, path)


@pytest.fixture(scope="module")
def predictor(checkpoint):
    return Predictor(checkpoint, PredictorSettings(precision="fp32", dense=DenseSettings(rescored=6), count=5))


def ask(predictor, image=IMAGE, side=SIDE, seed=0, patches=25, **more):
    return predictor.predict(image, side, np.random.default_rng(seed), patches=patches, **more)


@pytest.fixture(scope="module")
def dense(predictor):
    return ask(predictor)


@pytest.fixture(scope="module")
def exact(predictor, dense):
    return ask(predictor, places=dense.places, path="exact")


def test_a_prediction_is_a_matrix_with_its_places_and_says_who_made_it(dense):
    assert dense.places.shape == (25, 2) and dense.probabilities.shape == (25, 18)
    assert ((dense.probabilities > 0) & (dense.probabilities < 1)).all()
    assert (dense.model, dense.model_sha256, dense.stage) == ("stage2.safetensors", "ab" * 32, 2)
    assert dense.patch_side == SIDE
    phases = {name: seconds for name, seconds in dense.latency.items() if name != "total"}
    assert {"places", "dense", "rescore"} <= set(phases) and sum(phases.values()) <= dense.latency["total"]


def test_the_best_of_the_dense_path_are_exact_and_only_they_are_ranked(dense, exact):
    assert dense.exact.sum() == 6 and exact.exact.all()
    np.testing.assert_allclose(dense.probabilities[dense.exact], exact.probabilities[dense.exact], atol=1e-5)
    assert len(dense.ranked) == 5 and all(place.exact for place in dense.ranked)
    assert [place.score for place in dense.ranked] == sorted((place.score for place in dense.ranked), reverse=True)
    best = dense.ranked[0]
    assert best.score == dense.probabilities[dense.exact].max() == best.probabilities.max()
    assert best.bin == best.probabilities.argmax() and (best.u, best.v) == tuple(dense.places[best.place])


def test_the_exact_path_ranks_the_largest_entry_first(predictor, exact):
    place, angle = np.unravel_index(exact.probabilities.argmax(), exact.probabilities.shape)
    best = predictor.best(exact)
    assert (best.place, best.bin, best.score) == (place, angle, exact.probabilities.max())
    assert exact.latency["exact"] > 0


def test_the_exact_path_is_the_network_on_each_patch(network, exact):
    for place in (0, 7):
        patch = resize_patch(crop_patch(IMAGE, *exact.places[place], SIDE), network.input_side)
        with torch.inference_mode():
            expected = network.probabilities(network(network.normalise(patch[None])))[0].numpy()
        np.testing.assert_allclose(exact.probabilities[place], expected, atol=1e-5)


def test_both_paths_agree_where_a_patch_is_the_whole_picture(predictor):
    image, places = IMAGE[:SIDE, :SIDE], [[(SIDE - 1) / 2] * 2]
    matrices = [ask(predictor, image, places=places, path=path).probabilities for path in ("dense", "exact")]
    np.testing.assert_allclose(matrices[0], matrices[1], atol=1e-5)


@pytest.mark.parametrize("refinement, left, top", [(1, 32, 16), (2, 24, 40), (2, 16, 8), (4, 12, 36)])
def test_the_dense_path_takes_the_features_of_the_right_place(checkpoint, refinement, left, top):
    """What lies around the coloured spot is zero to the network, so that nothing depends on a patch's border."""
    side = 227
    image = np.full((320, 300, 3), MEAN, np.uint8)
    image[top + 90 : top + 140, left + 85 : left + 135] = IMAGE[:50, :50]
    settings = PredictorSettings(precision="fp32", dense=DenseSettings(refinement=refinement, rescored=1))
    predictor = Predictor(checkpoint, settings)
    # the outer two make the looked-at part the whole picture; one of the three is looked at again
    step = 16 // refinement
    corners = [[0, 0], [300 - side, 320 - side], [left, top], [left + step, top], [left, top - step]]
    places = np.array(corners) + (side - 1) / 2
    dense, exact = (ask(predictor, image, side, places=places, path=path) for path in ("dense", "exact"))
    expected = exact.probabilities[2:]
    differences = np.abs(dense.probabilities[2:, None] - expected).max(axis=2)
    assert dense.exact.sum() == 1
    assert differences.diagonal().max() < 0.25 * differences[~np.eye(3, dtype=bool)].min()
    assert differences.diagonal().max() < 0.1 * np.ptp(expected)


def test_same_seed_same_prediction(predictor, dense):
    again = ask(predictor)
    np.testing.assert_array_equal(again.places, dense.places)
    np.testing.assert_allclose(again.probabilities, dense.probabilities, atol=1e-6)
    assert not np.array_equal(ask(predictor, seed=1, patches=10).places[:10], dense.places[:10])


def test_bf16_answers_nearly_as_fp32(checkpoint, exact):
    half = ask(Predictor(checkpoint, PredictorSettings(precision="bf16")), places=exact.places[:6], path="exact")
    spread = exact.probabilities.std()
    assert np.abs(half.probabilities - exact.probabilities[:6]).max() < 0.2 * spread


def test_a_polygon_keeps_the_places_inside(predictor):
    places = ask(predictor, polygon=[[100, 60], [160, 60], [160, 120], [100, 120]]).places
    assert (places >= [99.5, 59.5]).all() and (places <= [160.5, 120.5]).all()


def test_reranking_orders_the_best_by_their_neighbourhood(checkpoint):
    rerank = RerankSettings(top=3, neighbours=4, radius=6)
    predictor = Predictor(checkpoint, PredictorSettings(precision="fp32", count=5, rerank=rerank, path="exact"))
    plain, ordered = ask(predictor, patches=8), ask(predictor, patches=8, rerank=True)
    top = ordered.ranked[:3]
    assert {place.place for place in top} == {place.place for place in plain.ranked[:3]}
    assert [place.neighbourhood for place in top] == sorted((place.neighbourhood for place in top), reverse=True)
    assert all(0 < place.neighbourhood < 1 for place in top)
    assert [place.place for place in ordered.ranked[3:]] == [place.place for place in plain.ranked[3:]]
    assert all(np.isnan(place.neighbourhood) for place in ordered.ranked[3:] + plain.ranked)


def test_ranked_grasps_keep_their_distance(checkpoint, exact):
    predictor = Predictor(checkpoint, PredictorSettings(precision="fp32", min_distance=60.0, count=25))
    ranked = ask(predictor, places=exact.places, path="exact").ranked
    points = np.array([[place.u, place.v] for place in ranked])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(len(points)) * 1e3
    assert 2 <= len(ranked) < 25 and distances.min() >= 60


def test_smoothing_averages_neighbouring_angles(checkpoint, exact):
    predictor = Predictor(checkpoint, PredictorSettings(precision="fp32", smoothing=True))
    smooth = ask(predictor, places=exact.places[:4], path="exact").probabilities
    odds = np.log(exact.probabilities[:4] / (1 - exact.probabilities[:4]))
    expected = [0.25 * odds[:, j - 1] + 0.5 * odds[:, j] + 0.25 * odds[:, (j + 1) % 18] for j in range(18)]
    np.testing.assert_allclose(np.log(smooth / (1 - smooth)).T, expected, atol=1e-4)


def test_importance_draws_exact_entries_and_the_prior_records_them(predictor, dense):
    rng = np.random.default_rng(0)
    drawn = [predictor.importance(dense, rng) for _ in range(50)]
    assert all(choice.exact for choice in drawn) and len({(choice.place, choice.bin) for choice in drawn}) > 5
    limit = np.sort(dense.probabilities[dense.exact].reshape(-1))[-20]
    assert all(choice.score >= limit for choice in drawn)
    prior = dense.prior(drawn[0])
    assert (prior.place, prior.bin) == (drawn[0].place, drawn[0].bin)
    assert prior.probabilities[prior.place, prior.bin] == pytest.approx(drawn[0].score)
    assert (prior.model, prior.model_sha256, prior.patch_size) == ("stage2.safetensors", "ab" * 32, SIDE)


class Ruler:
    """Takes an engine's place: its features are their own place, so that an answer is where its window begins."""

    input_side, dtype = 227, torch.float32

    def pooled_everywhere(self, pictures):
        rows, columns = ((length - self.input_side) // 16 + 11 for length in pictures.shape[1:3])
        grid = torch.stack(torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy")).float()
        return torch.cat([grid, torch.zeros(254, rows, columns)])[None]

    def classify(self, pooled):
        return pooled[:, :2, 0, 0].numpy()


@pytest.mark.parametrize("side", [100, 101, 180, 240])
@pytest.mark.parametrize("margins", [(0, 0), (40, 25), (3, 90)])
def test_every_place_gets_its_nearest_window_those_at_the_edges_too(side, margins):
    # the windows are 16 px of the network's input apart
    width, height = 360, 240
    low, high = (side - 1) / 2 + np.array(margins), np.array([width, height]) - (side + 1) / 2
    high = np.maximum(high - margins, low)
    places = np.array([[u, v] for u in np.linspace(low[0], high[0], 23) for v in np.linspace(low[1], high[1], 17)])
    places = np.floor(places) + low % 1
    begins = 16 * dense_probabilities(Ruler(), IMAGE, places, side) * side / 227
    wanted = places - places.min(axis=0)
    assert np.abs(begins - wanted).max() <= 8 * side / 227 + 1.0  # half a step, and a rounded size


def test_patches_too_small_for_the_dense_path_are_an_error_that_says_so(predictor):
    large = np.tile(IMAGE, (5, 6, 1))
    with pytest.raises(PredictionError, match="scaled to .* take the path 'exact'"):
        ask(predictor, large, side=16)
    assert len(ask(predictor, large, side=16, path="exact", patches=3).places) == 3


def test_a_picture_without_contrast_is_nothing_to_look_at(predictor):
    with pytest.raises(NothingToLookAtError, match="nothing to look at"):
        ask(predictor, np.full((200, 300, 3), 90, np.uint8))


@pytest.mark.parametrize(
    "image", [np.empty((0, 0, 3), np.uint8), IMAGE[..., 0], IMAGE.astype(float), IMAGE[:50], IMAGE[..., [0, 1, 2, 2]]]
)
@pytest.mark.parametrize("places", [None, [[100.0, 100.0]]])
def test_a_picture_that_is_none_is_an_error(predictor, image, places):
    with pytest.raises(BadImageError, match="picture"):
        ask(predictor, image, places=places)


@pytest.mark.parametrize("places", [[[10.0, 10.0]], np.empty((0, 2)), [[np.nan, 100]], [100.0, 100.0], [[60, 60, 1]]])
def test_places_outside_the_picture_or_none_are_an_error(predictor, places):
    with pytest.raises(RegionError):
        ask(predictor, places=places)


def test_a_region_outside_the_picture_is_an_error(predictor):
    with pytest.raises(RegionError, match="inside the picture of 360 x 240 px"):
        ask(predictor, polygon=[[400, 0], [500, 0], [500, 100]])


@pytest.mark.parametrize(
    "question, message",
    [
        ({"patches": 0}, "0 places"),
        ({"patches": -3}, "-3 places"),
        ({"count": 0}, "0 grasps"),
        ({"path": "fast"}, "'fast' is unknown; choose from dense, exact"),
        ({"side": 10}, "patch of 10 px is too small"),
    ],
)
def test_a_question_without_an_answer_is_an_error(predictor, question, message):
    with pytest.raises(PredictionError, match=message):
        ask(predictor, **question)


def test_several_threads_get_the_same_answers(predictor):
    answers = [None] * 3

    def work(index):
        answers[index] = ask(predictor, patches=8).ranked[0]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(answers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer[:3] for answer in answers] == [ask(predictor, patches=8).ranked[0][:3]] * 3


def test_a_predictor_of_a_file_says_its_name_and_checksum(network, tmp_path):
    path = tmp_path / "first.safetensors"
    sha256 = save_checkpoint(path, network, CheckpointInfo.of(network, stage=1))
    answer = ask(Predictor(path, PredictorSettings(precision="fp32")), patches=3)
    assert (answer.model, answer.model_sha256, answer.stage) == ("first.safetensors", sha256, 1)


def test_a_predictor_of_no_file_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="missing.safetensors"):
        Predictor(tmp_path / "missing.safetensors")
