"""HoG features, nearest neighbours and SVMs on bars that hold across."""

import itertools

import numpy as np
import pytest
from baseline_samples import accuracy, bar_sets, repeated
from training_samples import bar

from grasp_learning.baselines.errors import NotFittedError, TooFewSuccessesError
from grasp_learning.baselines.hog import HogSettings, descriptor, hog_features, view_of
from grasp_learning.baselines.svm import LinearSvms
from grasp_learning.config import ConfigError
from grasp_learning.evaluation.method import MethodError, create_method
from grasp_learning.patches import NETWORK_SIDE

SMALL = {"side": 64, "cell": 16}
LEARNED = ("knn", "svm", "knn-turned", "svm-turned")


def small(spec, **options):
    return create_method(spec, {"hog": SMALL, **options})


def fitted(spec, sets, **options):
    method = small(spec, **options)
    method.fit(*sets[:2], seed=0)
    if method.optimistic:
        method.choose(sets[2])
    return method


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    return bar_sets(tmp_path_factory.mktemp("bars") / "data")


def test_turning_a_patch_turns_what_it_shows():
    settings = HogSettings(view=0.7, side=160)
    straight = view_of(bar(0.9, NETWORK_SIDE), settings)
    turned = view_of(bar(0.5, NETWORK_SIDE), settings, 0.4)
    assert np.mean(np.abs(turned.astype(float) - straight)) < 2
    assert np.mean(np.abs(view_of(bar(0.5, NETWORK_SIDE), settings).astype(float) - straight)) > 10


def test_the_middle_of_a_patch_is_seen():
    picture = np.zeros((NETWORK_SIDE, NETWORK_SIDE, 3), np.uint8)
    first = (NETWORK_SIDE - 159) // 2  # 0.7 of the side
    picture[first : first + 159, first : first + 159] = 255
    assert view_of(picture, HogSettings(view=0.7)).min() > 100
    assert view_of(picture, HogSettings(view=0.9))[:, 2].max() == 0


@pytest.mark.parametrize("more", [{}, {"signed": True, "orientations": 18}, {"side": 96, "cell": 12}, {"cell": 32}])
def test_features_are_as_long_as_they_say(sets, more):
    settings = HogSettings(**more)
    assert descriptor(settings).getDescriptorSize() == settings.length
    features = hog_features(sets[2], settings)
    assert features.shape == (len(sets[2]), settings.length)
    assert np.isfinite(features).all()


def test_features_do_not_change_with_brightness(sets):
    hog = descriptor(HogSettings())
    picture = view_of(sets[2].pictures([0])[0], HogSettings())
    assert np.abs(hog.compute(picture) - hog.compute((picture * 0.7).astype(np.uint8))).mean() < 0.02


@pytest.mark.parametrize(
    "values, key", [({"side": 100}, "no multiple"), ({"view": 1.5}, "view"), ({"bins": 3}, "bins")]
)
def test_wrong_settings_of_features_are_named(values, key):
    with pytest.raises(MethodError, match=key):
        create_method("knn", {"hog": values})
    with pytest.raises(ConfigError, match=f"option 'hog': .*{key}"):
        LinearSvms(hog=values)


@pytest.mark.parametrize("spec, least", [("knn", 0.85), ("svm", 0.85), ("knn-turned", 0.95), ("svm-turned", 0.95)])
def test_grasps_across_a_bar_are_predicted_to_hold(sets, spec, least):
    assert accuracy(fitted(spec, sets), sets[2]) >= least


@pytest.mark.parametrize("spec", ["knn", "svm"])
def test_only_patches_of_the_grasps_angle_are_asked(tmp_path, spec):
    """What a picture means is the opposite for two angles: all patches together teach nothing."""
    cases = [(along, angle, int(along != angle)) for along in (0.0, np.pi / 2) for angle in (0.0, np.pi / 2)]
    train = repeated(tmp_path / "train", [(*case, 6) for case in cases])
    test = repeated(tmp_path / "test", [(*case, 2) for case in cases], "test_novel", seed=1)
    method = small(spec)
    method.fit(train, train, seed=0)
    if method.optimistic:
        method.choose(test)
    scores = method.scores(test)
    assert scores[test.labels == 1].min() > scores[test.labels == 0].max()
    assert accuracy(method, test) == 1


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Sets with a seventh of the successes of :func:`sets` in training and validation."""
    numbers = itertools.count()

    def keep(row):
        return row["split"] == "test_novel" or not row["label"] or next(numbers) % 7 == 0

    return bar_sets(tmp_path_factory.mktemp("rare") / "data", 300, 80, keep=keep)


@pytest.mark.parametrize("spec", LEARNED)
def test_few_successes_are_found_all_the_same(rare, spec):
    assert 0.1 < rare[0].labels.mean() < 0.2
    method = fitted(spec, rare)
    predicted = method.scores(rare[2]) >= method.threshold
    assert predicted[rare[2].labels == 1].mean() >= 0.7
    assert predicted[rare[2].labels == 0].mean() <= 0.3


def test_a_minority_of_votes_may_be_enough(rare):
    """With 30 neighbours successes are outvoted nearly everywhere; the threshold follows from validation."""
    method = fitted("knn-turned", rare, ks=[30])
    assert method.threshold < 0.5
    assert accuracy(method, rare[2]) >= 0.7
    assert method.parameters()["test_accuracy_by_k"]["30"] == pytest.approx(accuracy(method, rare[2]))


def test_a_class_with_fewer_patches_than_k_votes_as_a_whole(sets):
    method = fitted("knn", sets, ks=[1000], least=1)
    bins = sets[2].bins
    own = np.array([str(index) not in method.parameters()["widened_bins"] for index in bins])
    assert own.sum() > len(own) / 2
    shares = np.array([sets[0].labels[sets[0].bins == index].mean() for index in bins])
    assert method.scores(sets[2])[own] == pytest.approx(shares[own])


def test_the_k_of_the_table_is_the_best_on_the_test_set(rare):
    method = fitted("knn-turned", rare, ks=[1, 3, 30, 1000])
    assert method.optimistic
    chosen = method.parameters()
    accuracies = chosen["test_accuracy_by_k"]
    assert set(accuracies) == {"1", "3", "30", "1000"}
    assert accuracies[str(chosen["k"])] == max(accuracies.values())
    assert accuracies[str(chosen["k"])] == pytest.approx(accuracy(method, rare[2]))


def test_k_is_chosen_anew_for_another_test_set(sets):
    method = fitted("knn-turned", sets, ks=[1, 3, 5])
    first = method.scores(sets[2])
    method.choose(sets[1])
    method.scores(sets[1])
    method.choose(sets[2])
    assert (method.scores(sets[2]) == first).all()


def test_the_regularisation_is_the_best_on_validation(sets):
    method = fitted("svm", sets, regularisations=[1e-5, 1e-2])
    areas = method.parameters()["validation_auc_by_C"]
    assert set(areas) == {"1e-05", "0.01"}
    assert areas[f"{method.parameters()['C']:g}"] == max(areas.values())
    assert method.parameters()["chosen_on"] == "validation"


@pytest.mark.parametrize("spec", LEARNED)
def test_without_validation_defaults_are_used_and_named(sets, spec):
    none = sets[1].subset([])
    method = fitted(spec, (sets[0], none, sets[2]))
    assert method.parameters()["chosen_on"].startswith("nothing")
    assert accuracy(method, sets[2]) >= 0.75


@pytest.mark.parametrize("spec", ["knn", "svm"])
def test_bins_with_too_few_successes_are_widened_and_named(tmp_path, spec):
    sets = bar_sets(
        tmp_path / "data", 120, keep=lambda row: row["bin"] != 4 or not row["label"] or row["split"] != "train"
    )
    method = fitted(spec, sets)
    assert method.parameters()["widened_bins"]["4"] >= 1
    with pytest.raises(TooFewSuccessesError, match="angle bin .* expected at least 5 of both"):
        fitted(spec, sets, widen=False)


@pytest.mark.parametrize("spec", LEARNED)
@pytest.mark.parametrize("label, name", [(0, "successes"), (1, "failures")])
def test_one_class_alone_teaches_nothing(sets, spec, label, name):
    with pytest.raises(TooFewSuccessesError, match=f"no {name} among"):
        fitted(spec, (sets[0].subset(sets[0].labels == label), *sets[1:]))


def test_a_test_set_of_one_class_is_refused(sets):
    with pytest.raises(TooFewSuccessesError, match="knn: its parameters cannot be chosen on test_novel"):
        fitted("knn", (*sets[:2], sets[2].subset(sets[2].labels == 1)))


def test_scores_before_fitting_are_refused(sets):
    for spec in LEARNED:
        with pytest.raises(NotFittedError, match=f"{spec}: was asked for scores before"):
            small(spec).scores(sets[2])
    with pytest.raises(NotFittedError, match="call fit"):
        small("knn").choose(sets[2])


@pytest.mark.parametrize("spec", ["svm", "svm-turned"])
def test_a_state_gives_the_same_answers(sets, spec):
    method, other = fitted(spec, sets), small(spec)
    other.restore({name: np.array(values) for name, values in method.state().items()})
    assert other.parameters() == method.parameters()
    assert (other.scores(sets[2]) == method.scores(sets[2])).all()
    with pytest.raises(MethodError, match="other features or classes; fit them anew"):
        create_method(spec).restore(method.state())
    with pytest.raises(MethodError, match="not the state of SVMs"):
        small(spec).restore({})


@pytest.mark.parametrize("spec", LEARNED)
def test_the_same_seed_gives_the_same_scores(sets, spec):
    assert (fitted(spec, sets).scores(sets[2]) == fitted(spec, sets).scores(sets[2])).all()


@pytest.mark.parametrize(
    "spec, options, message",
    [
        ("knn", {"ks": []}, "ks"),
        ("knn", {"ks": [0]}, "ks"),
        ("knn", {"ks": [2.5]}, "ks"),
        ("svm", {"regularisations": []}, "regularisations"),
        ("svm", {"regularisations": [-1.0]}, "regularisations"),
        ("svm", {"least": 0}, "least"),
        ("svm", {"speed": 0}, "speed"),
    ],
)
def test_wrong_options_are_named(spec, options, message):
    with pytest.raises(MethodError, match=message):
        create_method(spec, options)
