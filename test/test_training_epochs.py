"""What an epoch shows, and that neither the number of devices nor an interruption changes it."""

import numpy as np
import pytest
import torch

from grasp_learning.training.data import EvaluationBatches, TrainBatches
from grasp_learning.training.epochs import batches_of, epoch_length, epoch_order, generator_of, share
from grasp_learning.training.samples import DecodedPatches, make_samples
from grasp_learning.training.settings import TrainSettings


def labels_of(successes, failures):
    return torch.tensor([1] * successes + [0] * failures)


def order_of(labels, repeats=None, balanced=True, epoch=0):
    repeats = torch.ones(len(labels), dtype=torch.float64) if repeats is None else repeats
    return epoch_order(labels, repeats, balanced, generator_of(0, 0, epoch))


def test_balanced_epochs_show_as_many_successes_as_failures_each_as_often_as_any_other():
    labels = labels_of(8, 92)
    order = order_of(labels)
    assert len(order) == 100
    assert labels[order].view(-1, 2).sum(dim=1).tolist() == [1] * 50, "in each batch, too"
    shown = torch.bincount(order, minlength=100)
    assert set(shown[:8].tolist()) == {6, 7}
    assert set(shown[8:].tolist()) == {0, 1}


def test_an_epoch_shows_everything_once_where_nothing_is_balanced():
    order = order_of(labels_of(8, 92), balanced=False)
    assert sorted(order.tolist()) == list(range(100))
    assert order.tolist() != list(range(100))


def test_later_stages_count_gamma_times():
    stages = np.array([0] * 10 + [1] * 5 + [2] * 5)
    samples = make_samples(DecodedPatches(torch.zeros(20, 1, 1, 3)), np.zeros(20), stages % 2, stages, np.ones(20))
    repeats = samples.repeats(3.0)
    assert repeats.tolist() == [1.0] * 10 + [3.0] * 10
    shown = torch.bincount(order_of(samples.labels, repeats, balanced=False), minlength=20)
    assert shown.tolist() == [1] * 10 + [3] * 10
    assert epoch_length(samples.repeats(2.5)) == 35
    assert len(order_of(samples.labels, samples.repeats(2.5), balanced=False)) == 35


def test_the_shift_of_success_is_by_how_much_guided_trials_hold_more_often():
    def shift(successes, failures, guided_successes, guided_failures, gamma):
        labels = torch.cat([labels_of(successes, failures), labels_of(guided_successes, guided_failures)])
        stages = [0] * (successes + failures) + [1] * (guided_successes + guided_failures)
        nothing = np.zeros(len(labels))
        samples = make_samples(DecodedPatches(torch.zeros(len(labels), 1, 1, 3)), nothing, labels, stages, nothing)
        return samples.success_shift(gamma)

    assert shift(10, 90, 0, 0, 3.0) == 0.0, "random trials alone"
    assert shift(10, 90, 20, 20, 3.0) == pytest.approx(np.log(10 / 90) - np.log(70 / 150))
    assert shift(0, 0, 20, 20, 3.0) == 0.0, "nothing is known of random trials"


def test_epochs_differ_and_repeat():
    labels = labels_of(10, 30)
    assert torch.equal(order_of(labels, epoch=3), order_of(labels, epoch=3))
    assert not torch.equal(order_of(labels, epoch=3), order_of(labels, epoch=4))


def test_devices_share_each_batch_evenly():
    batches = batches_of(torch.arange(21), 8, 4)
    assert [len(batch) for batch in batches] == [8, 8, 8], "the last is filled up to a multiple of 4"
    parts = [share(batches[-1], rank, 4).tolist() for rank in range(4)]
    assert parts == [[16, 17], [18, 19], [20, 0], [1, 2]]
    assert len(batches_of(torch.arange(1), 8, 4)[0]) == 4, "fewer samples than devices"


def small_samples(count=10):
    pictures = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 6, 6, 3).contiguous()
    return make_samples(
        DecodedPatches(pictures), np.linspace(0, 3, count), np.arange(count) % 2, np.zeros(count), [0.7] * count
    )


def gathered(world_size, **values):
    """Angles, turns and pictures of an epoch's batches, the devices' shares put together."""
    settings = TrainSettings(data=["d"], out="o", batch_size=4, **values)
    loaders = [TrainBatches(small_samples(), settings, lambda: 15, rank, world_size) for rank in range(world_size)]
    assert {len(loader) for loader in loaders} == {3}
    return [
        [
            torch.cat([getattr(batch, name) for batch in step]).tolist()
            for name in ("angles", "turns", "mirrored", "patches")
        ]
        for step in zip(*loaders)
    ]


def test_two_devices_see_together_what_one_would_see():
    assert gathered(2) == gathered(1)


def test_flips_and_turns_are_as_asked_for():
    plain = gathered(1)
    flipped = gathered(1, augment="rotation+flips")
    still = gathered(1, augment="none")
    assert not any(any(step[2]) for step in plain) and any(any(step[2]) for step in flipped)
    assert all(0 <= turn < 2 * np.pi for step in plain for turn in step[1])
    assert {turn for step in still for turn in step[1]} == {0.0}


def test_evaluation_sees_each_sample_once_however_many_devices_there_are():
    for world_size in (1, 2, 3, 7):
        seen = []
        lengths = set()
        for rank in range(world_size):
            batches = EvaluationBatches(small_samples(), 2, rank, world_size)
            lengths.add(len(list(batches)))
            for batch in batches:
                seen += batch.patches[batch.weights > 0, 0, 0, 0].tolist()
        assert sorted(seen) == list(range(10))
        assert len(lengths) == 1, "or else a device would wait for ever"


def test_weights_of_a_balanced_loss_give_each_class_one_half():
    settings = TrainSettings(data=["d"], out="o", batch_size=20, balance="loss")
    samples = make_samples(
        DecodedPatches(torch.zeros(20, 2, 2, 3)), np.zeros(20), [1] * 4 + [0] * 16, [0] * 20, [1.0] * 20
    )
    (batch,) = TrainBatches(samples, settings, int)
    assert float(batch.weights[batch.labels == 1].sum()) == 10.0
    assert float(batch.weights[batch.labels == 0].sum()) == 10.0
