"""A turn of a patch turns the grasp's angle along, whichever way angles count."""

import cv2
import numpy as np
import pytest
import torch
from training_samples import bar

from grasp_learning.dataset.schema import INNER_RATIO, STORED_SIDE
from grasp_learning.geometry import angle_difference, angle_to_bin
from grasp_learning.patches import NETWORK_SIDE
from grasp_learning.training.augmentation import angle_bins, change_colours, cut, rotate, wrap_angles

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def tensor(*pictures):
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def direction(picture):
    """Direction (rad, image axes) of what is bright in a (3, h, w) picture, by its second moments."""
    weight = picture.double().mean(dim=0).numpy()
    v, u = np.mgrid[: weight.shape[0], : weight.shape[1]] - (weight.shape[0] - 1) / 2
    return 0.5 * np.arctan2(2 * (weight * u * v).sum(), (weight * (u * u - v * v)).sum()) % np.pi


@pytest.mark.parametrize("phi", np.radians([0, 10, 37, 90, 145, 180, 200, 300, -20]))
@pytest.mark.parametrize("along", np.radians([0, 25, 100]))
def test_a_bar_at_an_angle_turned_by_phi_lies_at_their_sum(along, phi):
    patch = bar(along, colour=WHITE, background=BLACK)
    turned, angles = rotate(tensor(patch), numbers(along), numbers(phi), NETWORK_SIDE, numbers(INNER_RATIO))
    assert turned.shape == (1, 3, NETWORK_SIDE, NETWORK_SIDE)
    assert angle_difference(direction(turned[0]), along + phi) < np.radians(0.5)
    assert angle_difference(float(angles[0]), along + phi) < 1e-9
    assert 0 <= float(angles[0]) < np.pi


@pytest.mark.parametrize("phi", np.radians([0, 40]))
def test_a_mirrored_bar_is_turned_after_it_was_mirrored(phi):
    along = np.radians(30)
    patch = tensor(bar(along, colour=WHITE, background=BLACK))
    mirrored = torch.tensor([True])
    turned, angles = rotate(patch, numbers(along), numbers(phi), NETWORK_SIDE, numbers(INNER_RATIO), mirrored)
    assert angle_difference(direction(turned[0]), np.pi - along + phi) < np.radians(0.5)
    assert angle_difference(float(angles[0]), np.pi - along + phi) < 1e-9


def test_each_patch_of_a_batch_has_its_own_turn_whatever_its_place_in_memory():
    alongs, turns = np.radians([10, 60, 120]), np.radians([15, 0, 250])
    pictures = tensor(*(bar(angle, colour=WHITE, background=BLACK) for angle in alongs))
    inner = numbers(*[INNER_RATIO] * 3)
    turned, _ = rotate(pictures, numbers(*alongs), numbers(*turns), 100, inner)
    assert [angle_difference(direction(one), a + t) < 0.02 for one, a, t in zip(turned, alongs, turns)] == [True] * 3
    assert torch.equal(turned, rotate(pictures.contiguous(), numbers(*alongs), numbers(*turns), 100, inner)[0])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("inner", [INNER_RATIO, 1.0])
def test_bytes_on_a_processor_are_turned_as_floats_are_on_any_device(inner, mirrored):
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (6, 10, 10, 3), dtype=np.uint8)
    smooth = [cv2.resize(one, (STORED_SIDE, STORED_SIDE), interpolation=cv2.INTER_CUBIC) for one in coarse]
    patches, turns = tensor(*smooth), torch.from_numpy(rng.uniform(-7, 7, 6))
    flags = torch.tensor([mirrored, False] * 3) if mirrored else None
    inner = torch.full((6,), inner, dtype=torch.float64)
    bytes_, angles = rotate(patches, turns * 0, turns, NETWORK_SIDE, inner, flags)
    floats, float_angles = rotate(patches.float(), turns * 0, turns, NETWORK_SIDE, inner, flags)
    assert bytes_.dtype == torch.uint8 and torch.equal(angles, float_angles)
    difference = (bytes_.float() - floats).abs()
    # half a grey level of rounding, and places to 1/32 px
    assert float(difference.max()) < 4 and float(difference.mean()) < 0.5


def test_no_turn_shows_a_corner_that_is_not_of_the_patch():
    patch = np.full((STORED_SIDE, STORED_SIDE, 3), 200, np.uint8)
    turns = torch.linspace(0, 2 * np.pi, 33, dtype=torch.float64)
    inner = torch.full((33,), INNER_RATIO, dtype=torch.float64)
    # a frame of 0 px: what lies outside would be filled from the border, so the border is made dark
    patch[[0, -1]], patch[:, [0, -1]] = 0, 0
    turned, _ = rotate(tensor(patch).expand(33, -1, -1, -1), turns * 0, turns, NETWORK_SIDE, inner)
    dark = (turned < 150).float().mean()
    assert dark < 1e-4, "only the corners' last pixel may touch the border"


def test_a_patch_without_margin_is_seen_as_a_whole():
    patch = bar(0.0, length=270, colour=WHITE, background=BLACK)
    whole, _ = rotate(tensor(patch), numbers(0), numbers(0), NETWORK_SIDE, numbers(1.0))
    inner, _ = rotate(tensor(patch), numbers(0), numbers(0), NETWORK_SIDE, numbers(INNER_RATIO))
    middle = NETWORK_SIDE // 2
    assert whole[0, 0, middle, 4] < 50 and inner[0, 0, middle, 4] > 200, "the bar ends inside the whole patch only"
    assert torch.allclose(cut(tensor(patch), NETWORK_SIDE, numbers(1.0)), whole)


def test_what_is_not_turned_is_cut_pixel_by_pixel():
    patch = np.random.default_rng(0).integers(0, 256, (STORED_SIDE, STORED_SIDE, 3), dtype=np.uint8)
    inner = cut(tensor(patch), NETWORK_SIDE, numbers(INNER_RATIO))
    first = (STORED_SIDE - NETWORK_SIDE) // 2
    expected = tensor(patch[first : first + NETWORK_SIDE, first : first + NETWORK_SIDE])
    assert torch.equal(inner, expected)
    assert cut(tensor(patch), 224, numbers(INNER_RATIO)).shape == (1, 3, 224, 224)


def test_bins_are_those_of_the_geometry_module():
    angles = np.concatenate([np.random.default_rng(1).uniform(-10, 10, 2000), np.radians(np.arange(-360, 361, 5.0))])
    # at the very edge between two bins a rounding decides
    angles = angles[np.abs(angles / (np.pi / 18) % 1 - 0.5) > 1e-9]
    assert angle_bins(torch.from_numpy(angles)).tolist() == angle_to_bin(angles).tolist()
    assert float(wrap_angles(numbers(-1e-18))[0]) == 0.0


def test_colours_change_by_at_most_what_is_asked_for_and_repeatably():
    pictures = torch.full((64, 3, 4, 4), 100.0)
    first = change_colours(pictures, 0.2, torch.Generator().manual_seed(3))
    again = change_colours(pictures, 0.2, torch.Generator().manual_seed(3))
    assert torch.equal(first, again)
    assert 64 <= float(first.min()) < 90 and 110 < float(first.max()) <= 144.0001
    assert len(torch.unique(first[:, :, 0, 0])) > 64, "each channel has a factor of its own"
    assert float(change_colours(torch.full((8, 3, 2, 2), 250.0), 0.5, torch.Generator().manual_seed(0)).max()) <= 255
