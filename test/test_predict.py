"""The tool that answers for a picture: list, drawing, exit codes, and a line for everything that can be wrong."""

import subprocess

import cv2
import numpy as np
import pytest
from harness import Launch

pytest.importorskip("torch")

from model_samples import save_model

from grasp_learning.predict import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "stage0.safetensors"
    save_model(path)
    return path


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    image = np.full((200, 320, 3), 190, np.uint8)
    for _ in range(12):
        center = tuple(int(value) for value in rng.integers((0, 0), (320, 200)))
        cv2.circle(image, center, 18, tuple(int(value) for value in rng.integers(0, 255, 3)), -1)
    path = tmp_path / "a table.png"
    cv2.imwrite(str(path), image)
    return path


def run(model, image, *more):
    return main(["--model", str(model), "--image", str(image), "--patches", "40", *map(str, more)])


def test_the_list_is_ranked_and_the_drawing_lies_beside_the_picture(model, picture, capsys):
    assert run(model, picture, "--count", 5) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "320 x 200 px, patches of 94 px, 40 places" in printed[0]  # 94.5 px, the share of 378 px in 1280
    assert printed[1].startswith("model stage0.safetensors, stage 0, ")
    scores = [float(line.split()[-1]) for line in printed[3:8]]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) > 1
    drawn = cv2.imread(str(picture.with_name("a table_grasps.png")))
    original = cv2.imread(str(picture))
    assert drawn.shape == original.shape
    u, v = (float(word) for word in printed[3].split()[1:3])
    assert (drawn[round(v), round(u)] == (0, 255, 0)).all()  # the best grasp's point


def test_the_same_seed_gives_the_same_list(model, picture, capsys):
    lists = []
    for seed in (3, 3, 4):
        run(model, picture, "--seed", seed)
        lists.append(capsys.readouterr().out)
    assert lists[0] == lists[1] != lists[2]


def test_grasps_lie_in_the_region_and_the_output_where_it_was_asked_for(model, picture, tmp_path, capsys):
    output = tmp_path / "drawn.jpg"
    assert run(model, picture, "--region", 100, 60, 80, 50, "--output", output) == 0
    for line in capsys.readouterr().out.splitlines()[3:13]:
        u, v = (float(word) for word in line.split()[1:3])
        assert 100 <= u <= 179 and 60 <= v <= 109
    assert cv2.imread(str(output)).shape == (200, 320, 3)


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--region", 400, 300, 20, 20], "region"),
        (["--patch-size", 201], "smaller than a patch of 201 px"),
        (["--output", "/nowhere/x.png"], "/nowhere/x.png: cannot be written"),
        (["--output", "x.holiday"], "'.holiday' is no picture format"),
    ],
)
def test_questions_without_an_answer_are_one_line(model, picture, capsys, arguments, told):
    assert run(model, picture, *arguments) == 1
    error = capsys.readouterr().err.strip()
    assert told in error and len(error.splitlines()) == 1


def test_a_blank_a_broken_and_a_missing_picture_are_named(model, tmp_path, capsys):
    blank, broken, missing = (tmp_path / name for name in ("blank.png", "broken.png", "missing.png"))
    cv2.imwrite(str(blank), np.full((200, 320, 3), 128, np.uint8))
    broken.write_bytes(b"no picture")
    for path, told in ((blank, ""), (broken, "no picture that OpenCV can read"), (missing, "No such file")):
        assert run(model, path) == 1
        error = capsys.readouterr().err.strip()
        assert error.startswith(f"predict: {path}: ") and told in error and len(error.splitlines()) == 1


def test_a_model_that_cannot_be_used_is_named(picture, tmp_path, capsys):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x80weights")
    for path in (broken, tmp_path / "missing.safetensors"):
        assert run(path, picture) == 1
        error = capsys.readouterr().err.strip()
        assert error.startswith(f"predict: {path}: ") and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--patches", 0], "--patches: is 0"),
        (["--patches", 10**11], "--patches: is 100000000000"),
        (["--count", 0], "--count: is 0"),
        (["--count", "few"], "--count: is few"),
        (["--path", "magic"], "'magic'"),
        (["--seed", -1], "--seed is -1, expected 0 or more"),
        (["--patch-size", -5], "--patch-size is -5, expected 0 or more"),
        (["--region", 100, 60, -20, 0], "--region is -20 x 0 px"),
        ([], "--model"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_read(capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        main(["--image", "x", *(["--model", "y"] if arguments else []), *map(str, arguments)])
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_predict_launch_answers_for_a_picture_and_ends(model, picture, tmp_path):
    pytest.importorskip("rospy")
    if subprocess.run(["rospack", "find", "grasp_learning"], capture_output=True, check=False).returncode:
        pytest.skip("the workspace is not sourced")
    launch = Launch(["predict.launch", f"model:={model}", f"image:={picture}", "count:=4"], tmp_path)
    try:
        launch.wait(90)
        assert "rank" in launch.output and "drawn into" in launch.output
        assert cv2.imread(str(picture.with_name("a table_grasps.png"))).shape == (200, 320, 3)
    finally:
        launch.close()
