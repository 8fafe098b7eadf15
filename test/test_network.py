"""The grasp network: its shapes and numbers, the loss of equation (1), its initial weights."""

import os
import pickle
import urllib.error

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.nn import functional

from grasp_learning.network import (
    MAP_SIDE,
    MAP_STRIDE,
    GraspNetwork,
    NetworkError,
    NetworkSettings,
    initialise_from_imagenet,
    smooth_bins,
)
from grasp_learning.network_released import ResponseNormalisation

VARIANTS = ("paper", "released")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(variant: str, seed: int = 0) -> GraspNetwork:
    return GraspNetwork(NetworkSettings(variant=variant), generator(seed)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def networks():
    return {variant: make(variant) for variant in VARIANTS}


@pytest.fixture(params=VARIANTS)
def network(request, networks) -> GraspNetwork:
    return networks[request.param]


def pictures(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, height, width, 3), generator=generator(seed), dtype=torch.uint8)


# --- shapes and numbers ----------------------------------------------------------------------------------------------


def test_a_patch_gives_a_probability_for_each_angle(network):
    side = network.input_side
    x = network.normalise(pictures(2, side, side))
    feature_map = network.convolve(x)
    pooled = network.pool(feature_map)
    logits = network(x)
    assert side == {"paper": 227, "released": 224}[network.variant]
    assert feature_map.shape == (2, 256, MAP_SIDE, MAP_SIDE)
    assert pooled.shape == (2, 256, 6, 6)
    assert logits.shape == {"paper": (2, 18, 2), "released": (2, 18)}[network.variant]
    torch.testing.assert_close(network.classify(pooled), logits)
    probabilities = network.probabilities(logits)
    assert probabilities.shape == (2, 18) and probabilities.min() > 0 and probabilities.max() < 1
    torch.testing.assert_close(network.log_probabilities(logits).exp(), probabilities)
    # no initial preference, but another answer for another patch
    assert 0.3 < probabilities.mean() < 0.7
    assert not torch.allclose(probabilities[0], probabilities[1], atol=1e-4)


def test_the_fully_connected_layers_have_42_million_parameters(networks):
    network = networks["paper"]
    layers = (network.fc6, network.fc7, network.head)
    assert sum(weight.numel() for layer in layers for weight in layer.parameters()) == 41_985_060


def test_success_is_the_second_of_a_pair(networks):
    logits = torch.tensor([[[0.0, 3.0]] * 18])
    torch.testing.assert_close(networks["paper"].probabilities(logits), torch.full((1, 18), 0.952574))
    torch.testing.assert_close(networks["released"].probabilities(torch.zeros(1, 18)), torch.full((1, 18), 0.5))


def test_a_larger_picture_gives_the_map_of_its_patches(network):
    """Inside a patch, away from the zeros that pad a patch on its own, both maps are the same."""
    side, row, column = network.input_side, 2, 3
    x = network.normalise(pictures(1, side + 80, side + 115))
    whole = network.convolve(x)
    top, left = row * MAP_STRIDE, column * MAP_STRIDE
    alone = network.convolve(x[:, :, top : top + side, left : left + side])
    part = whole[:, :, row : row + MAP_SIDE, column : column + MAP_SIDE]
    torch.testing.assert_close(part[:, :, 6, 6], alone[:, :, 6, 6], rtol=1e-3, atol=1e-3)
    # a shift by one cell would not go unnoticed
    assert not torch.allclose(whole[:, :, row + 7, column + 6], alone[:, :, 6, 6], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 3, 100, 300), (1, 1, 300, 300), (3, 300, 300)])
def test_smaller_pictures_are_refused(network, shape):
    with pytest.raises(NetworkError, match=f"at least {network.input_side}"):
        network.convolve(torch.zeros(shape))


def test_patches_of_another_size_are_refused(network):
    with pytest.raises(NetworkError, match=f"expected .*{network.input_side}, {network.input_side}"):
        network(torch.zeros(1, 3, 256, 256))


def test_sixteen_bits_and_other_memory_formats_change_little(network):
    x = network.normalise(pictures(2, network.input_side, network.input_side))
    exact = network.probabilities(network(x))
    swapped = network.probabilities(network(x.contiguous(memory_format=torch.channels_last)))
    torch.testing.assert_close(swapped, exact, atol=1e-5, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(x)
    assert logits.dtype == torch.bfloat16
    half = network.probabilities(logits)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, atol=0.05, rtol=0)
    # on a map as it comes from channels-last convolutions, fc6 must see the same order
    feature_map = network.convolve(x).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network.classify(network.pool(feature_map)), network(x), atol=1e-4, rtol=1e-4)


def test_dropout_is_silent_in_evaluation_and_random_in_training():
    network = make("paper")
    x = torch.randn(1, 9216, generator=generator())
    assert torch.equal(network.classify(x), network.classify(x))
    network.train()
    assert not torch.equal(network.classify(x), network.classify(x))


# --- input -----------------------------------------------------------------------------------------------------------


def test_normalisation_takes_blue_green_red(networks):
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[..., 0], picture[..., 1], picture[..., 2] = 10, 20, 255  # B, G, R
    paper = networks["paper"].normalise(picture)[0, :, 0, 0]
    expected = [(1.0 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (10 / 255 - 0.406) / 0.225]
    torch.testing.assert_close(paper, torch.tensor(expected, dtype=torch.float32))
    released = networks["released"].normalise(picture)[0, :, 0, 0]
    assert released.tolist() == [10 - 111, 20 - 111, 255 - 111]


def test_both_orders_of_axes_are_known(network):
    batch = pictures(2, 5, 7)
    x = network.normalise(batch)
    assert x.shape == (2, 3, 5, 7) and x.dtype == torch.float32
    torch.testing.assert_close(network.normalise(batch.permute(0, 3, 1, 2)), x)
    torch.testing.assert_close(network.normalise(batch.numpy()), x)


@pytest.mark.parametrize(
    "batch", [np.zeros((1, 9, 9, 3)), np.zeros((9, 9, 3), np.uint8), np.zeros((1, 9, 9), np.uint8)]
)
def test_other_pictures_are_refused(networks, batch):
    with pytest.raises(NetworkError, match="expected uint8"):
        networks["paper"].normalise(batch)


# --- loss ------------------------------------------------------------------------------------------------------------

BINS = torch.tensor([3, 17, 0])
LABELS = torch.tensor([1, 0, 1])


def test_loss_is_the_cross_entropy_of_the_executed_pair(networks):
    logits = torch.randn(3, 18, 2, generator=generator())
    pairs = torch.stack([logits[0, 3], logits[1, 17], logits[2, 0]])
    losses = torch.stack([-torch.log(pair.exp()[label] / pair.exp().sum()) for pair, label in zip(pairs, LABELS)])
    network = networks["paper"]
    torch.testing.assert_close(network.loss(logits, BINS, LABELS), losses.mean())
    weights = torch.tensor([3.0, 1.0, 0.0])
    torch.testing.assert_close(network.loss(logits, BINS, LABELS, weights), (3 * losses[0] + losses[1]) / 4)
    assert network.loss(logits, BINS, LABELS, torch.zeros(3)) == 0


def test_released_loss_clips_the_probability(networks):
    network = networks["released"]
    logits = torch.zeros(3, 18)
    logits[0, 3], logits[1, 17], logits[2, 0] = 1.0, 2.0, -50.0
    expected = -(np.log(1 / (1 + np.exp(-1.0))) + np.log(1 - 1 / (1 + np.exp(-2.0))) + np.log(0.001)) / 3
    assert network.loss(logits, BINS, LABELS).item() == pytest.approx(expected, rel=1e-5)


def test_a_shift_is_added_to_the_log_odds_of_success(network):
    shape = (3, 18, 2) if network.variant == "paper" else (3, 18)
    logits = torch.randn(shape, generator=generator())
    shifted = logits.clone()
    (shifted[..., 1] if network.variant == "paper" else shifted).add_(-1.5)
    torch.testing.assert_close(network.loss(logits, BINS, LABELS, shift=-1.5), network.loss(shifted, BINS, LABELS))


def test_angles_that_were_not_executed_have_no_gradient(network):
    shape = (3, 18, 2) if network.variant == "paper" else (3, 18)
    logits = torch.randn(shape, generator=generator()).requires_grad_()
    network.loss(logits, BINS, LABELS, torch.tensor([1.0, 2.0, 3.0])).backward()
    executed = torch.zeros(3, 18, dtype=torch.bool)
    executed[torch.arange(3), BINS] = True
    assert (logits.grad[executed] != 0).all()
    assert (logits.grad[~executed] == 0).all()


def test_loss_is_in_32_bits(network):
    shape = (3, 18, 2) if network.variant == "paper" else (3, 18)
    assert network.loss(torch.zeros(shape, dtype=torch.bfloat16), BINS, LABELS.bool()).dtype == torch.float32


@pytest.mark.parametrize("wrong", [-1, 18])
def test_an_angle_that_is_none_is_an_error(network, wrong):
    shape = (1, 18, 2) if network.variant == "paper" else (1, 18)
    with pytest.raises((RuntimeError, IndexError), match="out of bounds"):
        network.loss(torch.zeros(shape), torch.tensor([wrong]), torch.tensor([1]))


def test_smoothing_wraps_around():
    values = torch.zeros(1, 18)
    values[0, 17] = 1.0
    smooth = smooth_bins(values)
    assert smooth[0, 17] == 0.5 and smooth[0, 16] == 0.25 and smooth[0, 0] == 0.25 and smooth.sum() == 1.0
    torch.testing.assert_close(smooth_bins(torch.full((2, 18), 0.3)), torch.full((2, 18), 0.3))


# --- initial weights -------------------------------------------------------------------------------------------------


def test_same_generator_same_weights(networks):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again, other = make("paper", 0), make("paper", 1)
    assert torch.equal(torch.get_rng_state(), before), "the global generator was used"
    for name, weight in networks["paper"].state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
        assert name.endswith("bias") or not torch.equal(weight, other.state_dict()[name])


def test_fully_connected_layers_start_gaussian(networks):
    for name in ("fc6", "fc7", "head"):
        paper, released = getattr(networks["paper"], name), getattr(networks["released"], name)
        assert paper.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert (paper.bias == 0).all()
        assert released.weight.abs().max() <= 0.02
        # a normal distribution that is cut off at two standard deviations keeps 0.88 of its own
        assert released.weight.std().item() == pytest.approx(0.0088, rel=0.05)
        assert torch.allclose(released.bias, torch.tensor(0.1))


def test_random_convolutions_keep_the_signals_strength(networks):
    """With torchvision's own random weights it has shrunk to less than a hundredth after five of them."""
    network = networks["paper"]
    x = network.normalise(pictures(2, 227, 227))
    x = x / x.std()
    assert 0.3 < network.convolve(x).std() < 3


def test_a_few_steps_from_scratch_learn(networks):
    """The map of random convolutions tells two patches apart for fc6, fc7 and the outputs."""
    network = GraspNetwork(NetworkSettings(dropout=0), generator()).train()
    x = networks["paper"].normalise(torch.stack([pictures(1, 227, 227)[0], pictures(1, 227, 227, seed=1)[0] // 4]))
    pooled = networks["paper"].pool(networks["paper"].convolve(x))
    bins, labels = torch.tensor([4, 4]), torch.tensor([0, 1])
    parameters = [*network.fc6.parameters(), *network.fc7.parameters(), *network.head.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=0.001, momentum=0.9)
    for _ in range(12):
        loss = network.loss(network.classify(pooled), bins, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = network.eval().probabilities(network.classify(pooled))[:, 4]
    assert found[0] < 0.3 and found[1] > 0.7, found


def test_settings_are_checked():
    with pytest.raises(ValueError, match="variant"):
        NetworkSettings(variant="resnet")
    with pytest.raises(ValueError, match="dropout"):
        NetworkSettings(dropout=1.0)


# --- the released network's own parts --------------------------------------------------------------------------------


def test_response_normalisation_is_alexnets():
    x = torch.randn(1, 96, 4, 5, generator=generator()) * 60
    # torch divides alpha by the window's size, Caffe's and TensorFlow's numbers differ in that
    expected = functional.local_response_norm(x, size=5, alpha=5 * 2e-5, beta=0.75, k=1.0)
    torch.testing.assert_close(ResponseNormalisation()(x), expected)
    half = ResponseNormalisation()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.02, atol=0.02)


def test_first_convolution_is_padded_as_in_tensorflow(networks):
    """SAME for 224 px, kernel 11, stride 4 is 3 px before and 4 px after: 56 cells."""
    features = networks["released"].features
    x = torch.randn(1, 3, 224, 224, generator=generator())
    found = features.conv1(features.pad1(x))
    assert found.shape == (1, 96, 56, 56)
    weight, bias = features.conv1.weight, features.conv1.bias
    corner = (weight[:, :, 3:, 3:] * x[:, :, :8, :8]).sum(dim=(1, 2, 3)) + bias
    torch.testing.assert_close(found[0, :, 0, 0], corner, rtol=1e-4, atol=1e-4)
    end = (weight[:, :, :7, :7] * x[:, :, 217:, 217:]).sum(dim=(1, 2, 3)) + bias
    torch.testing.assert_close(found[0, :, 55, 55], end, rtol=1e-4, atol=1e-4)


def test_grouped_convolutions_see_half_of_their_input(networks):
    shapes = {name: tuple(w.shape) for name, w in networks["released"].features.state_dict().items() if w.ndim == 4}
    assert shapes == {
        "conv1.weight": (96, 3, 11, 11),
        "conv2.weight": (256, 48, 5, 5),
        "conv3.weight": (384, 256, 3, 3),
        "conv4.weight": (384, 192, 3, 3),
        "conv5.weight": (256, 192, 3, 3),
    }


# --- weights from elsewhere ------------------------------------------------------------------------------------------


def imagenet_like(network: GraspNetwork) -> dict:
    """What a file of pretrained weights holds, with a classifier that is of no use here."""
    prefix = "features." if network.variant == "paper" else ""
    state = {prefix + k: torch.randn(v.shape, generator=generator(3)) for k, v in network.features.state_dict().items()}
    return {**state, "classifier.6.bias": torch.zeros(1000)}


@pytest.fixture
def fresh(networks):
    """A network whose weights are put back after the test."""
    kept = {name: {k: v.clone() for k, v in n.features.state_dict().items()} for name, n in networks.items()}
    yield networks
    for name, state in kept.items():
        networks[name].features.load_state_dict(state)


def assert_taken(network: GraspNetwork, state: dict) -> None:
    prefix = "features." if network.variant == "paper" else ""
    for name, weight in network.features.state_dict().items():
        assert torch.equal(weight, state[prefix + name])


@pytest.mark.parametrize(
    "variant, suffix", [("paper", ".pth"), ("paper", ".safetensors"), ("released", ".safetensors")]
)
def test_convolutions_from_a_local_file(fresh, tmp_path, variant, suffix):
    network, path = fresh[variant], tmp_path / f"alexnet{suffix}"
    state, fc6 = imagenet_like(network), network.fc6.weight.clone()
    (torch.save if suffix == ".pth" else safetensors.torch.save_file)(state, path)
    initialise_from_imagenet(network, path)
    assert_taken(network, state)
    assert torch.equal(network.fc6.weight, fc6), "only the convolutions are taken"


@pytest.mark.parametrize("tensorflow", [False, True])
def test_grouped_convolutions_from_numpy(fresh, tmp_path, tensorflow):
    state = imagenet_like(fresh["released"])
    arrays = {k: v.numpy().transpose(2, 3, 1, 0) if tensorflow and v.ndim == 4 else v.numpy() for k, v in state.items()}
    np.savez(tmp_path / "bvlc.npz", **arrays)
    initialise_from_imagenet(fresh["released"], str(tmp_path / "bvlc.npz"))
    assert_taken(fresh["released"], state)


def test_torchvisions_loader_is_used(fresh, tmp_path, monkeypatch):
    """A file in torch's own cache is what its download would leave there."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    state = imagenet_like(fresh["paper"])
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    initialise_from_imagenet(fresh["paper"])
    assert_taken(fresh["paper"], state)


def test_without_internet_the_local_file_is_named(fresh, tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    with pytest.raises(NetworkError, match="cannot be downloaded .*local file.*alexnet-owt-7be5be79.pth"):
        initialise_from_imagenet(fresh["paper"])
    with pytest.raises(NetworkError, match="nobody offers.*local file"):
        initialise_from_imagenet(fresh["released"])


def save_with(path, state, name, tensor):
    changed = dict(state)
    changed.pop(name) if tensor is None else changed.update({name: tensor})
    torch.save(changed, path)


WRONG = {
    "missing": (None, r"'features.8.weight' of shape \(256, 384, 3, 3\) is missing"),
    "shape": (torch.zeros(2, 3), r"has shape \(2, 3\), expected \(256, 384, 3, 3\)"),
    "shape of four": (torch.zeros(5, 4, 3, 2), r"has shape \(5, 4, 3, 2\), expected"),
    "NaN": (torch.full((256, 384, 3, 3), float("nan")), "not finite"),
    "no tensor": ("weights", "is missing"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_unfit_weights_are_refused_and_nothing_changes(fresh, tmp_path, kind):
    network, path = fresh["paper"], tmp_path / "alexnet.pth"
    tensor, message = WRONG[kind]
    before = network.features[0].weight.clone()
    save_with(path, imagenet_like(network), "features.8.weight", tensor)
    with pytest.raises(NetworkError, match=message) as caught:
        initialise_from_imagenet(network, path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert torch.equal(network.features[0].weight, before)


class Attack:
    def __reduce__(self):
        return os.mkdir, (os.environ["ATTACK_FOLDER"],)


def test_files_that_are_not_weights_are_refused(fresh, tmp_path, monkeypatch):
    network = fresh["paper"]
    monkeypatch.setenv("ATTACK_FOLDER", str(tmp_path / "attacked"))
    good = tmp_path / "good.pth"
    torch.save(imagenet_like(network), good)
    contents = {
        "empty.pth": b"",
        "text.pth": b"<html>Not found</html>",
        "truncated.pth": good.read_bytes()[:100_000],
        "attack.pth": pickle.dumps({"features.0.weight": Attack()}, protocol=2),
        "list.pth": None,
        "text.safetensors": b"not a header",
    }
    for name, content in contents.items():
        path = tmp_path / name
        torch.save([1, 2], path) if content is None else path.write_bytes(content)
        with pytest.raises(NetworkError, match="cannot be read as weights") as caught:
            initialise_from_imagenet(network, path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert not (tmp_path / "attacked").exists()
    (tmp_path / "pickled.npz").write_bytes(pickle.dumps({"conv1.weight": Attack()}))
    with pytest.raises(NetworkError, match="cannot be read as weights"):
        initialise_from_imagenet(fresh["released"], tmp_path / "pickled.npz")
    assert not (tmp_path / "attacked").exists()


def test_missing_and_unknown_files_are_named(fresh, tmp_path):
    with pytest.raises(NetworkError, match="no such file; name .*alexnet-owt-7be5be79.pth.* with --weights none"):
        initialise_from_imagenet(fresh["paper"], tmp_path / "none.pth")
    with pytest.raises(NetworkError, match=r"expected a file .pth or .safetensors .*; name .*with --weights none"):
        initialise_from_imagenet(fresh["paper"], tmp_path / "weights.npz")


def test_a_state_of_another_variant_is_refused(networks):
    with pytest.raises(NetworkError, match="not the weights of the variant 'paper'") as caught:
        GraspNetwork(NetworkSettings(), state=networks["released"].state_dict())
    assert "\n" not in str(caught.value)
