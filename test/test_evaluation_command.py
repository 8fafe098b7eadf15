import csv
import json
import re
from pathlib import Path

import evaluation_samples
import numpy as np
import pytest
from evaluation_samples import Fickle, Forgetful, Learner, Oracle, placed_dataset
from model_samples import save_model

from grasp_learning.dataset.reader import DatasetError
from grasp_learning.evaluation.evaluate import main
from grasp_learning.evaluation.folder import EvaluationFolder
from grasp_learning.evaluation.method import MethodError, UnknownMethodError, create_method
from grasp_learning.evaluation.patch_set import load_patch_set
from grasp_learning.evaluation.results import Evaluation, EvaluationError, load_evaluation, save_evaluation
from grasp_learning.evaluation.run import EvaluationSettings, MethodSpec, evaluate
from grasp_learning.evaluation.tables import format_evaluation

DOCS = Path(__file__).parents[1] / "docs" / "evaluate.md"
SPEC = "evaluation_samples:"
QUICK = {"rounds": 200, "progress": False, "pictures": False}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(placed_dataset(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_model(path)
    return str(path)


@pytest.fixture(autouse=True)
def _uncounted():
    for kind in (Learner, Fickle, Forgetful):
        kind.fitted = kind.asked = kind.restored = 0
    Fickle.interrupted = True


def settings(data, *specs, **more):
    methods = [spec if isinstance(spec, MethodSpec) else MethodSpec(spec=SPEC + spec) for spec in specs]
    return EvaluationSettings(data=[data], methods=methods, **{**QUICK, **more})


def oracle(name, **options):
    return MethodSpec(spec=f"{SPEC}Oracle", name=name, options=options)


# --- results ---


def test_every_method_appears_in_every_table(data, tmp_path):
    found = evaluate(settings(data, oracle("good"), oracle("fair", wrong=0.2), "Learner", "Peeker"), tmp_path)
    assert [(each.split, each.method) for each in found.results] == [
        (split, name) for split in ("test_novel", "test_seen") for name in ("good", "fair", "learner", "peeker")
    ]
    good, fair = found.result("good", "test_novel"), found.result("fair", "test_novel")
    assert good.accuracy.value == good.auc.value == good.precision == good.recall_success == 1.0
    assert fair.accuracy.value == pytest.approx(0.8) and fair.accuracy.low < 0.8 < fair.accuracy.high
    assert (fair.samples, fair.successes, fair.clusters, fair.resampled_by) == (20, 10, 4, "scene")
    assert good.calibration.error == pytest.approx(0.1)
    assert sum(group.samples for group in good.bins) == sum(group.samples for group in good.objects) == 20
    assert [group.name for group in good.objects] == ["bone", "pan", "star"]
    learner = found.result("learner", "test_seen")
    assert (learner.train_samples, learner.train_successes, learner.accuracy.value) == (30, 15, 0.5)
    assert learner.calibration is None
    table = format_evaluation(found)
    for name in ("good", "fair", "learner", "peeker *"):
        assert len(re.findall(rf"^{re.escape(name)} ", table, re.MULTILINE)) >= 2
    assert "* chose parameters on the test set" in table


def test_methods_are_compared_in_pairs(data, tmp_path):
    found = evaluate(settings(data, "Learner", oracle("bad", wrong=0.9), oracle("good")), tmp_path)
    assert len(found.comparisons) == 6
    difference = found.compare("learner", "good", "test_novel")
    assert difference.difference.value == 0.5 and difference.verdict == "better"
    assert found.compare("good", "learner", "test_novel").difference.value == -0.5
    worse = found.compare("learner", "bad", "test_novel")
    assert worse.verdict == "worse" and worse.difference.high < 0
    with pytest.raises(KeyError):
        found.compare("good", "svm", "test_novel")


def test_files_hold_everything(data, tmp_path):
    found = evaluate(
        settings(data, oracle("good"), "Peeker", command=["evaluate", "--data", data], pictures=True), tmp_path
    )
    assert load_evaluation(tmp_path) == load_evaluation(tmp_path / "evaluation.json") == found
    values = json.loads((tmp_path / "evaluation.json").read_text())
    assert values["command"] == ["evaluate", "--data", data] and values["package_version"]
    assert values["dataset_identity"] and values["seed"] == 0 and values["rounds"] == 200
    assert found.result("peeker", "test_seen").parameters == {"threshold": 0.5}
    rows = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert len(rows) == 2 * 40
    novel = load_patch_set(data, "test_novel")
    mine = [row for row in rows if row["split"] == "test_novel" and row["method"] == "good"]
    assert [row["trial_id"] for row in mine] == list(novel.trial_ids)
    assert [int(row["predicted"]) for row in mine] == novel.labels.tolist()
    for kind in ("accuracy", "precision_recall", "calibration", "angles", "objects"):
        for split in ("test_novel", "test_seen"):
            assert (tmp_path / f"{kind}_{split}.png").read_bytes().startswith(b"\x89PNG")


def test_no_calibration_where_nothing_is_a_probability(data, tmp_path):
    evaluate(settings(data, "Learner", pictures=True), tmp_path)
    assert not list(tmp_path.glob("calibration_*.png"))
    assert len(list(tmp_path.glob("*.png"))) == 8
    evaluate(settings(data, "Learner", splits=["test_novel"]), tmp_path)
    # those of the evaluation before would speak of other figures
    assert not list(tmp_path.glob("*.png"))


def test_a_network_is_asked_about_the_executed_angle(data, model, tmp_path):
    torch = pytest.importorskip("torch")
    from grasp_learning.checkpoint import load_checkpoint
    from grasp_learning.dataset.reader import open_dataset
    from grasp_learning.training.evaluation import evaluate as evaluate_in_training
    from grasp_learning.training.loading import load_samples

    found = evaluate(settings(data, MethodSpec(spec=f"network:{model}")), tmp_path)
    result = found.result("network, stage 0", "test_novel")
    samples = load_samples([data], open_dataset(data), "test_novel", 1.0)
    network = load_checkpoint(model).network
    assert result.accuracy.value == pytest.approx(evaluate_in_training(network, samples).balanced_accuracy)
    novel = load_patch_set(data, "test_novel")
    with torch.inference_mode():
        logits = network(network.normalise(novel.pictures(slice(None))))
        expected = network.probabilities(logits).numpy()[np.arange(20), novel.bins]
    told = [float(row["score"]) for row in csv.DictReader((tmp_path / "scores.csv").open())][:20]
    assert told == pytest.approx(expected.tolist(), abs=1e-5)
    assert result.calibration is not None and result.paper == 0.769
    assert found.result("network, stage 0", "test_seen").paper is None  # Table II is of novel objects
    assert result.parameters["sha256"] == load_checkpoint(model).sha256
    assert any("was trained on other data" in note for note in found.notes)


def test_a_network_alone_needs_nothing_to_learn_from(tmp_path, model):
    folder = placed_dataset(tmp_path / "data", train=0, validation=0)
    found = evaluate(settings(str(folder), MethodSpec(spec=f"network:{model}")), tmp_path / "out")
    assert [each.train_samples for each in found.results] == [0, 0]
    with pytest.raises(DatasetError, match="learner: there is no patch to learn from"):
        evaluate(settings(str(folder), "Learner"), tmp_path / "out")


# --- what is computed once ---


def test_a_second_run_computes_nothing_again(data, tmp_path):
    first = evaluate(settings(data, "Learner"), tmp_path)
    second = evaluate(settings(data, "Learner", oracle("one more")), tmp_path)
    assert (Learner.fitted, Learner.asked, Learner.restored) == (1, 2, 0)
    assert second.result("learner", "test_novel") == first.result("learner", "test_novel")


def test_an_interrupted_run_goes_on(data, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        evaluate(settings(data, "Fickle"), tmp_path)
    assert (Fickle.fitted, Fickle.asked) == (1, 1)
    Fickle.interrupted = False
    found = evaluate(settings(data, "Fickle"), tmp_path)
    # it was fitted before the interruption, and asked about the first test set
    assert (Fickle.fitted, Fickle.restored, Fickle.asked) == (1, 1, 2)
    assert found.result("fickle", "test_seen").fit_seconds > 0


def test_another_seed_another_fit(data, tmp_path):
    evaluate(settings(data, "Learner"), tmp_path)
    evaluate(settings(data, "Learner", seed=1), tmp_path)
    assert Learner.fitted == 2


def test_fewer_stages_another_fit(data, tmp_path):
    evaluate(settings(data, "Learner"), tmp_path)
    evaluate(settings(data, "Learner", train_stages=[0]), tmp_path)
    assert Learner.fitted == 1  # the same rows
    with pytest.raises(DatasetError, match="learner: there is no patch to learn from"):
        evaluate(settings(data, "Learner", train_stages=[7]), tmp_path)


def test_other_data_is_another_fit(tmp_path):
    folder = placed_dataset(tmp_path / "data")
    evaluate(settings(str(folder), "Learner"), tmp_path / "out")
    placed_dataset(folder, train=32)
    evaluate(settings(str(folder), "Learner"), tmp_path / "out")
    assert (Learner.fitted, Learner.asked) == (2, 4)
    # a test set that changes leaves what was learnt
    placed_dataset(folder, train=32, test_seen=10)
    found = evaluate(settings(str(folder), "Learner"), tmp_path / "out")
    assert Learner.fitted == 2 and Learner.restored == 1
    assert found.result("learner", "test_seen").samples == 10


def test_other_options_and_other_code_are_other_methods(data, tmp_path):
    file = tmp_path / "mine.py"
    text = Path(evaluation_samples.__file__).read_text()
    file.write_text(text)
    spec = f"{file}:Oracle"
    first = evaluate(settings(data, MethodSpec(spec=spec)), tmp_path / "out")
    more = evaluate(settings(data, MethodSpec(spec=spec, options={"wrong": 0.5})), tmp_path / "out")
    assert first.results[0].accuracy.value == 1.0 and more.results[0].accuracy.value < 0.8
    file.write_text(text.replace("told == 1, 1 - self.off", "told == 0, 1 - self.off"))
    changed = evaluate(settings(data, MethodSpec(spec=spec)), tmp_path / "out")
    assert changed.results[0].accuracy.value == 0.0


def test_a_damaged_cache_is_made_anew(data, tmp_path):
    first = evaluate(settings(data, "Learner"), tmp_path)
    for file in (tmp_path / "cache").glob("*.npz"):
        file.write_bytes(file.read_bytes()[:50])
    again = evaluate(settings(data, "Learner"), tmp_path)
    assert Learner.fitted == 2
    assert again.results[0].accuracy == first.results[0].accuracy


def test_a_state_that_cannot_be_taken_over_is_learnt_again(data, tmp_path):
    evaluate(settings(data, "Forgetful", splits=["test_novel"]), tmp_path)
    evaluate(settings(data, "Forgetful"), tmp_path)
    assert Forgetful.fitted == 2
    with pytest.raises(MethodError, match=r"one way: has state\(\), but no restore\(\)"):
        evaluate(settings(data, "OneWay"), tmp_path)


def test_same_seed_same_figures(data, tmp_path):
    specs = ("Learner", oracle("fair", wrong=0.2))
    one, two = (evaluate(settings(data, *specs), tmp_path / name) for name in ("a", "b"))
    other = evaluate(settings(data, *specs, seed=3), tmp_path / "c")
    assert one.result("fair", "test_seen").accuracy == two.result("fair", "test_seen").accuracy
    assert one.comparisons == two.comparisons
    assert one.result("fair", "test_seen").accuracy != other.result("fair", "test_seen").accuracy


# --- methods ---


def test_the_documented_example_runs(tmp_path, capsys):
    # what is right across a bar, and all but along it
    data = str(placed_dataset(tmp_path / "data", tolerance=1.3))
    example = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    (tmp_path / "my_method.py").write_text(example)
    spec = f"{tmp_path}/my_method.py:Contrast"
    out = tmp_path / "out"
    arguments = ["--data", data, "--out", str(out), "--method", spec, "--set", f"{spec}.reach=0.25"]
    assert main([*arguments, "--rounds", "200", "--no-pictures"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("contrast ") == 2 and "test_novel: 20 patches" in printed
    found = load_evaluation(out).result("contrast", "test_novel")
    assert found.accuracy.value > 0.8
    assert found.parameters == {"reach": 0.25}


def test_names_and_options_of_methods():
    made = create_method("evaluation_samples:Oracle", {"wrong": 0.25})
    assert isinstance(made, Oracle) and made.wrong == 0.25
    for spec in ("nothing", "network", "network:", ":Oracle"):
        with pytest.raises(UnknownMethodError, match=r"is unknown; choose from heuristic-eigenvector, .*knn, svm"):
            create_method(spec)
    with pytest.raises(UnknownMethodError, match="'no.such.module' cannot be imported"):
        create_method("no.such.module:Class")
    with pytest.raises(UnknownMethodError, match="has no class 'Nobody' derived from"):
        create_method("evaluation_samples:Nobody")
    with pytest.raises(UnknownMethodError, match="has no class 'placed_dataset' derived from"):
        create_method("evaluation_samples:placed_dataset")
    with pytest.raises(MethodError, match="cannot be made with options .*unexpected keyword argument 'wrongs'"):
        create_method("evaluation_samples:Oracle", {"wrongs": 1})
    with pytest.raises(MethodError, match="abstract"):
        create_method("grasp_learning.evaluation.method:Method")


def test_a_file_that_is_no_python(tmp_path):
    with pytest.raises(UnknownMethodError, match="No such file"):
        create_method(f"{tmp_path}/mine.py:Mine")
    (tmp_path / "mine.py").write_text("class Mine(:\n")
    with pytest.raises(UnknownMethodError, match="mine.py' cannot be imported"):
        create_method(f"{tmp_path}/mine.py:Mine")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("shape", r"scores\(\) gave shape \(3,\), expected \(20,\)"),
        ("nan", r"scores\(\) gave 20 values that are not finite"),
        ("probability", r"values from 2 to 2, but it is 'probabilistic'"),
        ("json", r"parameters\(\) is not JSON"),
    ],
)
def test_answers_that_are_none(data, tmp_path, how, message):
    with pytest.raises(MethodError, match=message):
        evaluate(settings(data, MethodSpec(spec=f"{SPEC}Broken", options={"how": how})), tmp_path)
    assert not (tmp_path / "evaluation.json").exists()


def test_two_methods_of_one_name(data, tmp_path):
    with pytest.raises(EvaluationError, match="two methods are called 'oracle'.*NAME=FILE"):
        evaluate(settings(data, "Oracle", "Oracle"), tmp_path)


def test_a_network_of_other_patches(tmp_path, data):
    from grasp_learning.checkpoint import CheckpointInfo, save_checkpoint
    from grasp_learning.network import GraspNetwork, NetworkSettings

    network = GraspNetwork(NetworkSettings(fc6=64, fc7=32))
    save_checkpoint(tmp_path / "m.safetensors", network, CheckpointInfo.of(network, training={"patch_span": 0.6}))
    with pytest.raises(MethodError, match="trained on patches that span 0.6000 m.*those of the test span 0.4670 m"):
        evaluate(settings(data, MethodSpec(spec=f"network:{tmp_path}/m.safetensors")), tmp_path / "out")


# --- the command ---


def run(capsys, *arguments):
    code = main([str(word) for word in arguments])
    captured = capsys.readouterr()
    assert captured.err.count("\n") <= 1
    return code, captured.out, captured.err


def test_named_models_and_methods(data, model, tmp_path, capsys):
    words = [
        "--method",
        f"sure={SPEC}Oracle",
        "--model",
        model,
        f"again={model}",
        "--split",
        "test_novel",
        "--no-pictures",
    ]
    code, out, err = run(capsys, "--data", data, "--out", tmp_path, *words, "--rounds", "200")
    assert (code, err) == (0, "")
    assert [each.method for each in load_evaluation(tmp_path).results] == ["sure", "network, stage 0", "again"]
    assert "test_seen" not in out and f"results  {tmp_path}/evaluation.json" in out


def test_wrong_command_lines(data, tmp_path, capsys):
    base = ["--data", data, "--out", tmp_path / "out"]
    for words, message in [
        (["--method", "none"], "no method is left to evaluate"),
        (["--method", "magic"], "method 'magic' is unknown; choose from"),
        (["--method", "knn", "--set", "svm.c=1"], "method 'svm' is not evaluated; those that are: knn"),
        (["--method", "knn", "--set", "k=1"], "expected METHOD.KEY=VALUE"),
        (["--method", "knn", "--set", "knn.k=[1"], "the value is not valid YAML"),
        (["--rounds", "5"], "key 'rounds' is 5"),
        (["--seed", "-1"], "key 'seed' is -1"),
    ]:
        code, _, err = run(capsys, *base, *words)
        assert code == 2 and message in err, words
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit) as ended:
        main(["--data", data, "--out", "x", "--split", "train"])
    assert ended.value.code == 2


def test_problems_are_one_line(data, tmp_path, capsys):
    base = ["--out", tmp_path / "out", "--method", f"{SPEC}Learner"]
    assert run(capsys, "--data", tmp_path / "no", *base)[0::2] == (
        1,
        f"evaluate: {tmp_path}/no: is not there; name a dataset's folder or one of its Parquet files\n",
    )
    code, _, err = run(
        capsys, "--data", data, "--out", tmp_path / "out", "--method", "none", "--model", "no.safetensors"
    )
    assert code == 1 and "no.safetensors: cannot be read" in err

    def share(rows):
        for row in rows:
            row["object"], row["objects"] = "can", ["can"]

    shared = placed_dataset(tmp_path / "shared", change=share)
    code, _, err = run(capsys, "--data", shared, *base)
    assert code == 1 and "test_novel shares 1 object (can) with train + validation" in err
    assert Learner.fitted == 0


def test_a_folder_in_use(data, tmp_path, capsys):
    with EvaluationFolder(tmp_path):
        code, _, err = run(capsys, "--data", data, "--out", tmp_path, "--method", f"{SPEC}Learner")
    assert code == 1 and "evaluates into it; wait for it, or choose another folder" in err
    assert run(capsys, "--data", data, "--out", tmp_path, "--method", f"{SPEC}Learner", "--no-pictures")[0] == 0


def test_a_folder_that_cannot_be_made(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, _, err = run(capsys, "--data", data, "--out", tmp_path / "file", "--method", f"{SPEC}Learner")
    assert code == 1 and str(tmp_path / "file") in err


def test_ctrl_c_tells_how_to_go_on(data, tmp_path, capsys):
    code, _, err = run(capsys, "--data", data, "--out", tmp_path, "--method", f"{SPEC}Fickle")
    assert code == 130 and f"to go on: evaluate --data {data} --out {tmp_path}" in err


# --- evaluation.json ---


def test_files_that_are_no_evaluation(data, tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read .*name a folder that evaluate wrote"):
        load_evaluation(tmp_path)
    found = evaluate(settings(data, "Oracle", splits=["test_novel"]), tmp_path)
    path = save_evaluation(tmp_path, found)
    for text, message in [
        ("{", "is damaged"),
        ("[]", "expected a mapping"),
        ('{"format": 7}', "format 7, this version reads 1"),
        (path.read_text().replace('"rounds"', '"round"'), "key 'rounds' is missing"),
    ]:
        path.write_text(text)
        with pytest.raises(EvaluationError, match=f"{path}.*{message}"):
            load_evaluation(tmp_path)
    assert Evaluation.model_validate_json(found.model_dump_json()) == found
