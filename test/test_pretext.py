"""A pretext task from painted tables to convolutions that a training starts from; interruptions; what it refuses."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from pretext_samples import COLOURS, Painter, painted_rows, settings_for
from training_samples import KILL, bar_dataset

from grasp_learning.checkpoint import load_checkpoint
from grasp_learning.network import GraspNetwork, NetworkError, NetworkSettings, initialise_from_imagenet
from grasp_learning.pretext import scenes
from grasp_learning.pretext.errors import PretextError
from grasp_learning.pretext.module import KindNetwork, KindScore
from grasp_learning.pretext.run import train_pretext
from grasp_learning.pretext.scene_files import encode_scene, read_scenes, scene_path
from grasp_learning.pretext.settings import PretextSettings, is_held_back
from grasp_learning.pretext.train_pretext import main
from grasp_learning.pretext.weights_file import read_info, save_convolutions
from grasp_learning.training.errors import TrainingError, TrainingInUseError
from grasp_learning.training.folder import locked
from grasp_learning.training.run import train
from grasp_learning.training.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("one_thread")
DEADLINE = 100.0  # s
SMALL = {"fc6": 32, "fc7": 16}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A pretext task that nothing interrupted: its settings and its result."""
    settings = settings_for(tmp_path_factory.mktemp("whole") / "kinds.safetensors")
    return settings, train_pretext(settings, Painter())


def tensors_of(path):
    return safetensors.torch.load_file(str(path))


def assert_equal_files(one, other):
    one, other = tensors_of(one), tensors_of(other)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


# --- the result -----------------------------------------------------------------------------------------------------


def test_the_file_says_what_it_was_trained_on(finished):
    settings, result = finished
    info = read_info(result.path)
    assert info == result.info and result.path == Path(settings.out)
    assert (info.scenes, info.epochs, info.seed, info.variant) == (4, 2, 0, "paper")
    assert (info.patches, info.held_back) == (18, 6), "one table of four is held back"
    assert info.kinds == list(scenes.kinds()) and info.chance == 1 / 18
    assert info.most_frequent == pytest.approx(1 / 3)
    assert info.low <= info.accuracy <= info.high
    with safetensors.safe_open(str(result.path), framework="pt") as file:
        said = file.metadata()["description"]
    assert "without grasps: 18 patches of 4 tables, 18 kinds, 2 epochs, seed 0" in said
    assert "6 patches of tables that were held back" in said
    assert sorted(path.name for path in result.path.parent.iterdir()) == ["kinds.safetensors", "kinds_work"]


def test_a_training_starts_from_the_file_and_tells_of_it(finished, tmp_path):
    path = finished[1].path
    bar_dataset(tmp_path / "bars", train=4)
    settings = TrainSettings(
        data=[str(tmp_path / "bars")],
        out=str(tmp_path / "out"),
        weights=str(path),
        network=SMALL,
        epochs=1,
        learning_rate=1e-12,
        device="cpu",
        precision="fp32",
        progress=False,
    )
    found = load_checkpoint(train(settings).checkpoint)
    for name, tensor in tensors_of(path).items():
        torch.testing.assert_close(found.network.state_dict()[name], tensor, atol=1e-6, rtol=0)
    assert found.info.training["weights_sha256"] == finished[1].sha256
    assert found.info.training["weights_of"] == finished[1].info.describe()


def test_files_of_the_variants_are_not_mixed_up(finished, tmp_path):
    released = KindNetwork("released", 18).convolutions()
    info = finished[1].info.model_copy(update={"variant": "released"})
    save_convolutions(tmp_path / "r.safetensors", released, info)
    network = GraspNetwork(NetworkSettings(variant="released", **SMALL))
    initialise_from_imagenet(network, tmp_path / "r.safetensors")
    assert released.keys() == network.features.state_dict().keys()
    for name, tensor in released.items():
        assert torch.equal(network.features.state_dict()[name], tensor)
    with pytest.raises(NetworkError, match="r.safetensors: the tensor 'features.0.weight' .* is missing"):
        initialise_from_imagenet(GraspNetwork(NetworkSettings(**SMALL)), tmp_path / "r.safetensors")


@pytest.mark.parametrize("variant, side", [("paper", 227), ("released", 224)])
def test_normalisations_go_into_the_convolutions(variant, side):
    """What the trained network sees in a picture, the grasp network sees, too."""
    network = KindNetwork(variant, 3, torch.Generator().manual_seed(0))
    pictures = torch.randn((4, 3, side, side), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for _ in range(3):  # gathers means and variances
            network.train()(pictures)
        for layer in network.features.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 2.0), layer.bias.uniform_(-0.5, 0.5)
        expected = network.eval().convolve(pictures)
        grasps = GraspNetwork(NetworkSettings(variant=variant, **SMALL))
        grasps.features.load_state_dict(network.convolutions())
        found = grasps.eval().convolve(pictures)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_kinds_that_differ_are_told_apart(tmp_path):
    """On tables that were not trained on, far better than the third that is the best constant answer."""
    settings = settings_for(tmp_path / "k.safetensors", scenes=12, learning_rate=0.02)
    info = train_pretext(settings, Painter()).info
    assert (info.patches, info.held_back) == (60, 12), "tables 1 and 11 are held back"
    assert info.accuracy > 0.6 and info.low > info.most_frequent


def test_neither_workers_nor_memory_change_the_weights(finished, tmp_path):
    one = train_pretext(settings_for(tmp_path / "one.safetensors", workers=3, memory_gb=0), Painter())
    assert one.info.data_sha256 == finished[1].info.data_sha256
    assert_equal_files(one.path, finished[1].path)


def test_another_seed_gives_other_weights(finished, tmp_path):
    other = train_pretext(settings_for(tmp_path / "other.safetensors", seed=1, epochs=1), Painter())
    one = tensors_of(finished[1].path)["features.0.weight"]
    assert (tensors_of(other.path)["features.0.weight"] - one).abs().mean() > 0.5 * one.abs().mean()


def test_one_table_in_ten_is_held_back_and_of_two_one():
    assert [scene for scene in range(30) if is_held_back(scene)] == [1, 11, 21]


def test_scores_count_kinds_alike():
    score = KindScore(torch.tensor([[8.0, 2.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    assert (score.samples, score.correct, score.accuracy, score.most_frequent) == (12, 9, 0.75, 10 / 12)
    assert score.balanced_accuracy == pytest.approx((0.8 + 0.5) / 2), "kinds that do not occur do not count"


# --- interruptions --------------------------------------------------------------------------------------------------


def environment():
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }


def test_a_killed_task_goes_on_to_the_very_same_weights(finished, tmp_path):
    """Killed in the middle of the second epoch."""
    out, notes = tmp_path / "k.safetensors", tmp_path / "notes"
    notes.mkdir()
    program = KILL + (
        "import pretext_samples as p\nfrom grasp_learning.pretext.run import train_pretext\n"
        "train_pretext(p.settings_for(sys.argv[1]), p.Painter())"
    )
    command = [sys.executable, "-c", program, str(out)]
    process = subprocess.run(command, env=environment(), capture_output=True, timeout=DEADLINE)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert (tmp_path / "k_work" / "training" / "state.ckpt").exists() and not out.exists()
    result = train_pretext(settings_for(out), Painter(str(notes)))
    assert list(notes.iterdir()) == [], "no table is rendered again"
    assert_equal_files(result.path, finished[1].path)


def test_ctrl_c_while_rendering_keeps_what_is_there(tmp_path):
    out = tmp_path / "k.safetensors"
    program = "import sys, pretext_samples as p\nfrom grasp_learning.pretext import run, train_pretext as t\n" + (
        "real = run.train_pretext\nrun.train_pretext = lambda s: real(s, p.Painter(pause=0.3))\n"
        "sys.exit(t.main(['--out', sys.argv[1], '--scenes', '300', '--workers', '1']))"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", program, str(out)], env=environment(), **pipes)
    first, end = scene_path(tmp_path / "k_work" / "scenes", 1), time.monotonic() + DEADLINE
    while not first.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    last = errors.splitlines()[-1]
    assert last.startswith("train_pretext: stopped while rendering; ") and "start the same command again" in last
    assert "Traceback" not in errors
    saved = len(list(first.parent.glob("*.parquet")))
    assert saved >= 2 and f"{saved} of 300 scenes" in last
    assert [path.name for path in first.parent.iterdir() if path.name.startswith(".")] == [], "nothing half written"


def test_a_finished_task_is_not_done_again(finished, tmp_path):
    settings, result = finished
    again = train_pretext(settings, Painter(str(tmp_path), fails=0))
    assert again.finished_before and (again.sha256, again.info) == (result.sha256, result.info)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key, value", [("seed", 1), ("scenes", 5), ("epochs", 3), ("variant", "released")])
def test_another_task_into_the_file_is_refused(finished, key, value):
    settings, result = finished
    with pytest.raises(PretextError, match=f"of another pretext task, '{key}' is .* choose another --out"):
        train_pretext(settings.model_copy(update={key: value}), Painter())
    assert read_info(result.path) == result.info


def test_another_task_into_the_folder_of_the_work_is_refused(finished, tmp_path):
    work = str(finished[0].folder)
    with pytest.raises(TrainingError, match="'seed' is 0 there and 1 now"):
        train_pretext(settings_for(tmp_path / "k.safetensors", work=work, seed=1), Painter())
    with pytest.raises(TrainingError, match="'epochs' is 2 there and 3 now"):
        train_pretext(settings_for(tmp_path / "k.safetensors", work=work, epochs=3), Painter())
    assert not (tmp_path / "k.safetensors").exists()


def test_two_tasks_in_one_folder(tmp_path):
    settings = settings_for(tmp_path / "k.safetensors")
    with locked(settings.folder), pytest.raises(TrainingInUseError, match=f"process {os.getpid()} is"):
        train_pretext(settings, Painter())


def test_a_table_that_cannot_be_rendered_is_named_and_the_others_are_kept(tmp_path):
    settings, notes = settings_for(tmp_path / "k.safetensors", workers=1), tmp_path / "notes"
    with pytest.raises(PretextError, match="scene 2: no paint; what was rendered is in .*scenes"):
        train_pretext(settings, Painter(fails=2))
    assert len(list((tmp_path / "k_work" / "scenes").glob("*.parquet"))) == 2
    notes.mkdir()
    with pytest.raises(PretextError, match="scene 3: no paint"):
        train_pretext(settings, Painter(str(notes), fails=3))
    assert sorted(path.name.split(".")[0] for path in notes.iterdir()) == ["2", "3"], "only what was missing"


def test_a_full_disk_keeps_what_was_rendered(tmp_path):
    """The limit of a file's size stands in for a full disk: both end a write in its middle."""
    settings = settings_for(tmp_path / "k.safetensors", workers=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(TrainingError, match="000000.parquet: cannot be written .* start the same command again"):
            train_pretext(settings, Painter())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((settings.folder / "scenes").glob("*.parquet")) == []


# --- files of tables ------------------------------------------------------------------------------------------------


def test_files_of_tables_that_are_damaged_or_others_are_named(tmp_path):
    known = tuple(COLOURS)
    with pytest.raises(PretextError, match="000003.parquet: cannot be read .* delete it"):
        read_scenes(tmp_path, [3], known)
    content = encode_scene(painted_rows(0, 3), 3)
    scene_path(tmp_path, 3).write_bytes(content[: len(content) // 2])
    with pytest.raises(PretextError, match="000003.parquet: cannot be read .* delete it"):
        read_scenes(tmp_path, [3], known)
    scene_path(tmp_path, 3).write_bytes(encode_scene(painted_rows(0, 4), 4))
    with pytest.raises(PretextError, match="000003.parquet: does not hold the patches of scene 3; delete it"):
        read_scenes(tmp_path, [3], known)
    scene_path(tmp_path, 3).write_bytes(encode_scene(painted_rows(0, 3, kinds=("box", "teapot")), 3))
    with pytest.raises(PretextError, match="shows a 'teapot'"):
        read_scenes(tmp_path, [3], known)


def test_tables_without_a_patch(tmp_path):
    with pytest.raises(PretextError, match="too few patches .* render more --scenes"):
        train_pretext(settings_for(tmp_path / "k.safetensors", scenes=2), Painter(rows=0))


# --- what is refused ------------------------------------------------------------------------------------------------


def fails(capsys, code, arguments, *expected):
    """The command ends with a code and one line on stderr."""
    assert main([str(argument) for argument in arguments]) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and errors[0].startswith("train_pretext: "), errors
    for text in expected:
        assert text in errors[0], errors[0]


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--out", "weights.pth"], "expected the name of a .safetensors file"),
        (["--out", "w.safetensors", "--scenes", "1"], "key 'scenes' is 1"),
        (["--out", "w.safetensors", "--epochs", "0"], "key 'epochs' is 0"),
        (["--out", "w.safetensors", "--learning-rate", "nan"], "key 'learning_rate'"),
        (["--out", "w.safetensors", "--seed", "-1"], "key 'seed' is -1"),
    ],
)
def test_options_outside_their_range(capsys, arguments, expected):
    fails(capsys, 2, arguments, expected)


def test_a_file_of_something_else_is_left_alone(capsys, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_text("chapter 1")
    fails(capsys, 1, ["--out", path], "cannot be read as weights", "choose another --out")
    safetensors.torch.save_file({"x": torch.zeros(1)}, str(path))
    before = path.read_bytes()
    fails(capsys, 1, ["--out", path], "was not written by this version's train_pretext", "choose another --out")
    assert path.read_bytes() == before and not (tmp_path / "w_work").exists()


def test_an_unwritable_folder(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    fails(capsys, 1, ["--out", tmp_path / "file" / "w.safetensors"], "cannot be written")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(capsys, tmp_path):
    fails(capsys, 1, ["--out", tmp_path / "w.safetensors", "--device", "cuda"], "0 found", "--device cpu")


def test_weights_that_are_not_finite_are_not_saved(finished, tmp_path):
    network = KindNetwork("paper", 18)
    with torch.no_grad():
        network.features[0][0].bias[3] = float("nan")
    with pytest.raises(PretextError, match="'features.0.bias' is not finite"):
        save_convolutions(tmp_path / "w.safetensors", network.convolutions(), finished[1].info)
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_before_is_printed(finished, capsys):
    settings = finished[0]
    assert main(["--out", settings.out, "--scenes", "4", "--epochs", "2", "--batch-size", "6"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("nothing left to do") and f"train --weights {settings.out}" in lines[-1]


def test_the_work_lies_beside_the_file_unless_another_folder_is_named():
    assert PretextSettings(out="a/kinds.safetensors").folder == Path("a/kinds_work")
    assert PretextSettings(out="a/kinds.safetensors", work="b").folder == Path("b")
    assert np.isclose(PretextSettings(out="a.safetensors").training.resolved_rate, 0.01)
