"""Profiles are well formed; their steps share what can be shared, and have commands that the tools take."""

import subprocess

import pytest
import yaml

from grasp_learning.config import ConfigError
from grasp_learning.dataset import export_dataset
from grasp_learning.evaluation import evaluate
from grasp_learning.experiments import untrained
from grasp_learning.experiments.catalogue import EXPERIMENTS
from grasp_learning.experiments.findings import FEWEST_CLUSTERS
from grasp_learning.experiments.plan import Options, Plan
from grasp_learning.experiments.profile import PROFILES, load_profile
from grasp_learning.experiments.results import EXPERIMENT_IDS
from grasp_learning.experiments.step import INTERPRETED, closure
from grasp_learning.pretext import train_pretext
from grasp_learning.robot_description import find_package_file
from grasp_learning.simulation import hold_trials, simulate
from grasp_learning.training import train


def plan_of(out, profile="paper", **options):
    plan = Plan(out, load_profile(profile), Options(**options))
    return plan, {experiment.id: experiment.steps(plan) for experiment in EXPERIMENTS}


def arguments(step):
    return step.command[INTERPRETED:]


def by_tool(plan, tool):
    return [step for step in plan.steps.values() if step.tool == tool]


def test_there_is_an_experiment_for_each_id_in_the_order_of_the_paper():
    assert tuple(experiment.id for experiment in EXPERIMENTS) == EXPERIMENT_IDS


@pytest.mark.parametrize("name", PROFILES)
def test_the_commands_of_a_profile_are_taken_by_their_tools(tmp_path, name):
    weights = tmp_path / "alexnet.pth"
    weights.touch()
    plan, _ = plan_of(tmp_path, name, seed=3, workers=2, weights=weights)
    for step in by_tool(plan, "simulate"):
        settings = simulate._settings_of(simulate.parse_arguments(arguments(step)))
        assert settings.trials == step.counted.target and settings.workers == 2
    for step in by_tool(plan, "train"):
        settings = train.settings_of(_without_config(step))
        assert settings.resolved_epochs in (plan.profile.epochs, plan.profile.stage_epochs)
    for step in by_tool(plan, "evaluate"):
        settings = evaluate.settings_of(evaluate.parse_arguments(arguments(step)), [])
        assert settings.splits == ("test_novel", "test_seen") and len(settings.data) == 3
    for step in by_tool(plan, "export_dataset"):
        export_dataset.parse_arguments(arguments(step))
    for step in by_tool(plan, "train_pretext"):
        assert train_pretext.parse_arguments(arguments(step)).out == str(step.result)
    assert hold_trials.parse_arguments(arguments(plan.steps["holdable"])).grasps == plan.profile.hold_grasps
    untrained.parse_arguments(arguments(plan.steps["untrained"]))
    tools = {"simulate", "train", "evaluate", "export_dataset", "train_pretext", "experiments.untrained", "holdable"}
    assert {step.tool for step in plan.steps.values()} == tools | {"roslaunch"}


def _without_config(step):
    parsed = train.parse_arguments(arguments(step))
    if step.files:
        # the runner writes it
        assert yaml.safe_load(step.files["network.yaml"]) == {"network": {"fc6": 64, "fc7": 32}}
        assert str(parsed.config) == f"{step.result.parent.parent}/network.yaml"
        del parsed.config
    return parsed


def test_the_launch_files_take_the_arguments_of_the_steps(tmp_path):
    plan, _ = plan_of(tmp_path, "smoke")
    steps = by_tool(plan, "roslaunch")
    assert len(steps) == 5
    for step in steps:
        tool, _, package, file, *given = step.command
        listed = subprocess.run([tool, "--ros-args", package, file], capture_output=True, text=True, timeout=60)
        known = {line.split()[0].rstrip(":") for line in listed.stdout.splitlines() if line.strip()}
        assert {argument.split(":=")[0] for argument in given} <= known, file


def test_the_papers_profile_has_the_papers_numbers(tmp_path):
    profile = load_profile("paper")
    assert (profile.random_trials, sum(profile.stage_trials), profile.novel_trials) == (40287, 7307, 2973)
    assert (profile.epochs, profile.stage_epochs, profile.gamma, profile.stages) == (20, 5, 3.0, 3)
    assert (profile.robot_trials, profile.tables, profile.table_objects) == (150, 5, 10)


def test_all_experiments_share_one_random_collection_one_first_network_and_the_test_sets(tmp_path):
    plan, targets = plan_of(tmp_path, "laptop")
    names = {key: {step.name for step in closure(plan.steps, steps)} for key, steps in targets.items()}
    for key in ("table2", "fig8", "pretraining", "stages", "aggregation", "gamma"):
        assert {"collect_random", "train_stage0", "export_novel", "export_seen"} <= names[key], key
    assert "train_pretext" not in names["table2"] | names["stages"]
    assert "train_stage1" not in names["fig8"] | names["pretraining"]
    assert {"train_stage3"} <= names["grasp_rate"] & names["clear_table"] & names["reranking"]
    assert not any(name.startswith("evaluate") for name in names["clear_table"])
    everything = set().union(*names.values())
    assert everything == set(plan.steps)


def test_tests_never_train_and_training_never_tests(tmp_path):
    plan, _ = plan_of(tmp_path, "laptop")
    for step in by_tool(plan, "train"):
        assert not {"export_novel", "export_seen"} & set(step.needs)
    splits = {step.name: " ".join(arguments(step)[2:6]) for step in by_tool(plan, "export_dataset")}
    assert splits["export_random"] == "--test-size 0 --validation 0.05"
    assert splits["export_seen"] == "--test-size 0.9999 --validation 0"
    held_out = {name for name in ("novel", "best_plain", "best_reranked")}
    for name in held_out:
        words = arguments(plan.steps[f"collect_{name}"])
        assert words[words.index("--objects") + 1] == "test"


def test_compared_trainings_differ_in_what_is_compared_alone(tmp_path):
    plan, _ = plan_of(tmp_path, "laptop")

    def words(name):
        given = vars(train.parse_arguments(arguments(plan.steps[f"train_{name}"])))
        given.pop("out")
        return given

    base = words("stage0")
    for size in (750, 1500, 3000):
        assert words(f"limit{size}") == {**base, "limit": size}
    assert words("pretext") == {**base, "weights": str(plan.places.pretext)}
    stage = words("stage1")
    for gamma in (1.0, 10.0):
        assert words(f"gamma{gamma:g}") == {**stage, "gamma": gamma}
    alone = words("alone1")
    assert alone.pop("only_stage") is True
    assert alone == {**stage, "gamma": 1.0, "data": stage["data"][1:]}
    plain, reranked = (arguments(plan.steps[f"collect_best_{name}"]) for name in ("plain", "reranked"))
    assert plain[2:-1] == reranked[2:]
    assert simulate._settings_of(simulate.parse_arguments(plain)).trials_per_scene == 5
    # enough tables for a verdict
    assert plan.profile.rerank_trials / 5 >= FEWEST_CLUSTERS


def test_each_stage_is_collected_with_the_network_before_it_and_trained_on_all_trials_so_far(tmp_path):
    plan, _ = plan_of(tmp_path, "laptop")
    for stage in (1, 2, 3):
        collected = simulate.parse_arguments(arguments(plan.steps[f"collect_stage{stage}"]))
        trained = train.parse_arguments(arguments(plan.steps[f"train_stage{stage}"]))
        before = str(plan.places.model(f"stage{stage - 1}"))
        assert (collected.model, collected.mode, collected.stage, trained.init) == (before, "staged", stage, before)
        names = ["random", *(f"stage{each}" for each in range(1, stage + 1))]
        assert trained.data == [str(plan.places.dataset(name)) for name in names]


def test_imagenet_takes_part_where_its_file_is_given(tmp_path):
    without, _ = plan_of(tmp_path)
    weights = tmp_path / "alexnet.pth"
    plan, targets = plan_of(tmp_path, weights=weights)
    assert "train_imagenet" not in without.steps
    assert "train_imagenet" in plan.steps["evaluate_pretraining"].needs
    assert str(weights) in plan.steps["train_imagenet"].command
    # the same file may lie elsewhere the next time; another file is another training
    settings = [plan_of(tmp_path, weights=weights, weights_sha256=each)[0] for each in ("c0de", "beef")]
    first, second = (each.steps["train_imagenet"].settings for each in settings)
    assert first != second and str(weights) not in str(first)


def test_seeds_differ_between_collections_and_follow_the_one_that_is_given(tmp_path):
    seeds = []
    for seed in (0, 1):
        plan, _ = plan_of(tmp_path, seed=seed)
        words = {step.name: arguments(step) for step in by_tool(plan, "simulate")}
        seeds.append({name: int(line[line.index("--seed") + 1]) for name, line in words.items()})
    assert all(seeds[0][name] != seeds[1][name] for name in seeds[0])
    assert len(set(seeds[0].values())) == len(seeds[0]) - 1  # best grasps with and without re-ranking share one
    # ROS parameters are signed numbers of 32 bits
    assert all(0 <= value < 2**31 for value in seeds[0].values())


@pytest.mark.parametrize(
    "change, words",
    [
        ({"random_trials": 0}, "key 'random_trials' is 0"),
        ({"stage_trials": []}, "key 'stage_trials' is []"),
        ({"stage_trials": [5, 0]}, "key 'stage_trials' is [5, 0]: expected whole numbers above 0"),
        (
            {"sizes": [100, 50]},
            "key 'sizes' is [100, 50]: expected growing numbers above 0 and below random_trials, 150",
        ),
        ({"sizes": [150]}, "key 'sizes' is [150]"),
        ({"gammas": [1, 10]}, "key 'gammas' is [1, 10]: expected growing numbers from 1 on, gamma 3 among them"),
        ({"start": "imagnet"}, "key 'start' is 'imagnet'"),
        ({"epoch": 3}, "key 'epoch' is unknown"),
        ({"epochs": None}, "key 'epochs' is None"),
    ],
)
def test_a_wrong_key_of_a_profile_is_named_with_what_is_expected(tmp_path, change, words):
    values = yaml.safe_load(find_package_file("config/experiments/smoke.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**values, **change}))
    with pytest.raises(ConfigError) as found:
        load_profile(str(path))
    assert words in str(found.value) and str(path) in str(found.value)


def test_a_profile_that_is_not_there_is_told():
    with pytest.raises(ConfigError, match="profile 'lapto' is unknown: expected one of smoke, laptop, paper, or a"):
        load_profile("lapto")
    with pytest.raises(ConfigError, match="missing.yaml: cannot be read"):
        load_profile("missing.yaml")
