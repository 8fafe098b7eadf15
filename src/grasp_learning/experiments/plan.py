"""All steps of the experiments, as a graph: experiments share the collections, datasets and networks."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
import yaml

from grasp_learning.clearing import TABLES_FILE
from grasp_learning.curriculum.jobs import CollectJob, ExportJob, TrainJob
from grasp_learning.curriculum.settings import CurriculumSettings
from grasp_learning.curriculum.tools import export_command, python_command, simulate_command, train_command
from grasp_learning.experiments.places import LOG_FILE, Places
from grasp_learning.experiments.profile import Profile
from grasp_learning.experiments.step import Counted, Step
from grasp_learning.storage import TRIALS_FILE

BASELINES = ("heuristic-eigenvector", "heuristic-limit", "heuristic-best", "knn", "svm")  # the paper's
STRONGER = ("knn-turned", "svm-turned")  # the last two at their best, which the paper does not have
TEST_SETS = ("test_novel", "test_seen")
# of the scenes; a collection's own part in the splits
SPLITS = {
    "random": {"--test-size": "0", "--validation": "0.05"},
    # all of its tables test: no number of the splits is 0.9999 or more
    "seen": {"--test-size": "0.9999", "--validation": "0"},
    "novel": {},
}
GUIDED_SPLITS = {"--test-size": "0", "--validation": "0"}  # guided trials are too dear to be held back
BEST_PER_TABLE = 5  # best grasps on one table
STARTS = ("scratch", "pretext", "imagenet")
ROBOT_TESTS = tuple(
    (f"{objects}_{'reranked' if reranked else 'plain'}", objects, reranked)
    for objects in ("novel", "seen")
    for reranked in (False, True)
)


@dataclass(frozen=True)
class Options:
    """What the command line adds to a profile.

    Attributes:
        seed: of every random choice.
        workers: processes that simulate.
        weights: file of ImageNet's convolutions; None without one.
        weights_sha256: of that file, which may lie elsewhere the next time.
    """

    seed: int = 0
    workers: int = 1
    weights: Optional[Path] = None
    weights_sha256: str = ""


class Plan:
    """The steps of a profile in a folder.

    Args:
        out: folder of the experiments, absolute.
        profile: how much of everything.
        options: of the command line.

    Attributes:
        steps: name -> step, each behind those that it needs.
        places: where everything lies.
    """

    def __init__(self, out: Path, profile: Profile, options: Options):
        self.places, self.profile, self.options = Places(out), profile, options
        self.steps: Dict[str, Step] = {}
        self._simulation = CurriculumSettings(workers=options.workers, kind=profile.kind)
        self._add_random()
        self._add_pretext()
        self._add_networks()
        self._add_stages()
        self._add_ablations()
        self._add_tests()
        self._add_robot()

    @property
    def last(self) -> str:
        """Name of the training of the last stage."""
        return f"stage{self.profile.stages}"

    def add_evaluation(
        self, name: str, models: Sequence[str], methods: Sequence[str] = (), keys: Sequence[str] = ()
    ) -> str:
        """Add the evaluation of networks and baselines on both test sets; the name of its step.

        Args:
            name: of the experiment.
            models: names of trainings, or "untrained".
            methods: baselines, which learn from the random trials as the networks do.
            keys: of the profile that it depends on, beside those of the steps that it needs.
        """
        sets = ("random", "seen", "novel")
        command = [*python_command("evaluation.evaluate"), "--data", *(str(self.places.dataset(each)) for each in sets)]
        command += ["--method", *([f"{method}={method}" for method in methods] or ["none"])]
        command += ["--model", *(f"{model}={self.places.model(model)}" for model in models)]
        folder = self.places.evaluation(name)
        command += ["--split", *TEST_SETS, "--seed", str(self._seed("evaluate")), "--out", str(folder)]
        needs = [f"export_{each}" for each in sets] + [_step_of(model) for model in models]
        return self._add(
            f"evaluate_{name}",
            f"accuracy of {len(models) + len(methods)} methods on balanced test sets",
            "evaluate",
            command,
            folder / "evaluation.json",
            self._settings(*keys),
            needs,
        )

    # The steps

    def _add_random(self) -> None:
        self._add_collection("random", self.profile.random_trials, "train", ("random_trials",))
        self._add_collection("novel", self.profile.novel_trials, "test", ("novel_trials",))
        self._add_collection("seen", self.profile.seen_trials, "train", ("seen_trials",))
        for name, splits in SPLITS.items():
            self._add_export(name, splits)

    def _add_pretext(self) -> None:
        command = python_command("pretext.train_pretext")
        command += ["--scenes", str(self.profile.pretext_scenes), "--epochs", str(self.profile.pretext_epochs)]
        command += ["--seed", str(self._seed("pretext")), "--workers", str(self.options.workers)]
        command += ["--out", str(self.places.pretext)]
        self._add(
            "pretext",
            f"pretext on {self.profile.pretext_scenes} rendered scenes",
            "train_pretext",
            command,
            self.places.pretext,
            self._settings("pretext_scenes", "pretext_epochs"),
        )

    def _add_networks(self) -> None:
        """Those of the random trials: from each start, and from fewer trials."""
        profile = self.profile
        for start in STARTS:
            if start == "imagenet" and self.options.weights is None:
                continue
            name = "stage0" if start == profile.start else start
            self._add_training(name, f"network from {start}", ["random"], profile.epochs, start)
        for size in profile.sizes:
            options = ["--limit", str(size)]
            title = f"network of {size} trials"
            self._add_training(f"limit{size}", title, ["random"], profile.epochs, profile.start, options=options)
        self._add_untrained()

    def _add_stages(self) -> None:
        for stage, trials in enumerate(self.profile.stage_trials, 1):
            before = f"stage{stage - 1}"
            self._add_collection(f"stage{stage}", trials, "train", ("stage_trials",), "staged", stage, before)
            self._add_export(f"stage{stage}", GUIDED_SPLITS)
            self._add_later(f"stage{stage}", f"network of stage {stage}", stage, before, self.profile.gamma)

    def _add_ablations(self) -> None:
        """Stages without aggregation, each from the network before it, and other weights of the guided trials."""
        for stage in range(1, self.profile.stages + 1):
            before = f"alone{stage - 1}" if stage > 1 else "stage0"
            title = f"network of stage {stage} without aggregation"
            self._add_later(f"alone{stage}", title, stage, before, 1.0, alone=True)
        for gamma in self.profile.gammas:
            if gamma != self.profile.gamma:
                self._add_later(gamma_name(gamma), f"network of stage 1, Gamma {gamma:g}", 1, "stage0", gamma)

    def _add_tests(self) -> None:
        trials, stage = self.profile.rerank_trials, self.profile.stages
        # a network that fails with its best grasp is likely to try the same again: many tables, few tries on each
        few = ["--trials-per-scene", str(BEST_PER_TABLE)]
        for name, more in (("best_plain", [*few, "--no-rerank"]), ("best_reranked", few)):
            self._add_collection(name, trials, "test", ("rerank_trials",), "best", stage, self.last, more)

    def _add_robot(self) -> None:
        profile, model = self.profile, self.places.model(self.last)
        for name, objects, reranked in ROBOT_TESTS:
            folder = self.places.robot(name)
            command = _launch(
                "test_grasps.launch",
                model=model,
                trials=profile.robot_trials,
                split="test" if objects == "novel" else "train",
                rerank=str(reranked).lower(),
                arms="both",
                stage=profile.stages,
                # the same objects in the same poses with and without
                seed=self._seed(f"robot_{objects}"),
                data=folder,
            )
            self._add(
                f"robot_{name}",
                f"robot test, {objects} objects, {'with' if reranked else 'without'} re-ranking",
                "roslaunch",
                command,
                folder / TRIALS_FILE,
                self._settings("robot_trials"),
                [_step_of(self.last)],
                Counted(folder / TRIALS_FILE, profile.robot_trials),
            )
        self._add_tables()

    def _add_tables(self) -> None:
        """Tables to be cleared, of objects that can be held: with another one no table could ever be."""
        profile, tables, holdable = self.profile, self.places.tables, self.places.holdable
        command = [*python_command("simulation.hold_trials"), "--out", str(holdable)]
        command += ["--grasps", str(profile.hold_grasps), "--workers", str(self.options.workers)]
        # the seed is the default one: what can be held is the objects' own, and no choice of these experiments
        title, settings = f"{profile.hold_grasps} grasps of each held-out object", {"hold_grasps": profile.hold_grasps}
        self._add("holdable", title, "holdable", command, holdable, settings)
        command = _launch(
            "clear_table.launch",
            model=self.places.model(self.last),
            tables=profile.tables,
            objects=profile.table_objects,
            tries=profile.table_tries,
            holdable=holdable,
            rerank="true",
            stage=profile.stages,
            seed=self._seed("clear_table"),
            data=tables,
        )
        self._add(
            "clear_table",
            f"clearing {profile.tables} tables of {profile.table_objects} objects",
            "roslaunch",
            command,
            tables / TABLES_FILE,
            self._settings("tables", "table_objects", "table_tries"),
            [_step_of(self.last), "holdable"],
            Counted(tables / TABLES_FILE, profile.tables, "table"),
        )

    # One step each

    def _add_collection(
        self,
        name: str,
        trials: int,
        objects: str,
        keys: Tuple[str, ...],
        mode: str = "random",
        stage: int = 0,
        model: str = "",
        more: Sequence[str] = (),
    ) -> None:
        # best grasps with and without re-ranking meet the same objects in the same poses
        seed = self._seed("best" if mode == "best" else name)
        folder = self.places.collection(name)
        checkpoint = self.places.model(model) if model else None
        log = self.places.step(f"collect_{name}") / LOG_FILE
        job = CollectJob(folder, stage, trials, seed, mode, checkpoint, objects, log)
        self._add(
            f"collect_{name}",
            f"{trials} {mode} trials" + (" on held-out objects" if objects == "test" else ""),
            "simulate",
            simulate_command(job, self._simulation) + list(more),
            folder / TRIALS_FILE,
            self._settings("kind", *keys),
            [_step_of(model)] if model else [],
            Counted(folder / TRIALS_FILE, trials),
        )

    def _add_export(self, name: str, splits: Dict[str, str]) -> None:
        folder = self.places.dataset(name)
        log = self.places.step(f"export_{name}") / LOG_FILE
        command = export_command(ExportJob([self.places.collection(name)], folder, log))
        command += [word for option in splits.items() for word in option]
        command += ["--workers", str(self.options.workers)]
        self._add(
            f"export_{name}",
            f"patches of {name}",
            "export_dataset",
            command,
            folder / "dataset.yaml",
            self._settings(),
            [f"collect_{name}"],
        )

    def _add_later(self, name: str, title: str, stage: int, parent: str, gamma: float, alone: bool = False) -> None:
        data = [f"stage{each}" for each in range(1, stage + 1)]
        data = data[-1:] if alone else ["random", *data]
        options = ["--only-stage"] if alone else []
        self._add_training(name, title, data, self.profile.stage_epochs, "", stage, parent, gamma, options)

    def _add_training(
        self,
        name: str,
        title: str,
        data: Sequence[str],
        epochs: int,
        start: str,
        stage: int = 0,
        parent: str = "",
        gamma: float = 1.0,
        options: Sequence[str] = (),
    ) -> None:
        words = [word for each in data[1:] for word in ("--data", str(self.places.dataset(each)))]
        settings = self._settings("network", "train_options")
        settings.update({"stage_epochs" if stage else "epochs": epochs, "gamma": gamma})
        needs = [f"export_{each}" for each in data]
        if parent:
            needs.append(_step_of(parent))
        else:
            words += ["--weights", self._weights(start)]
            settings.update(self._start_settings(start))
            needs += ["pretext"] if start == "pretext" else []
        files = {}
        if self.profile.network:
            files = {"network.yaml": yaml.safe_dump({"network": self.profile.network})}
            words += ["--config", str(self.places.step(_step_of(name)) / "network.yaml")]
        job = TrainJob(
            dataset=self.places.dataset(data[0]),
            folder=self.places.training(name),
            model=self.places.model(name),
            stage=stage,
            parent=self.places.model(parent) if parent else None,
            epochs=epochs,
            gamma=gamma,
            # all trainings of a stage see the same random numbers: they differ in what is compared alone
            seed=self._seed(f"train {stage}"),
            options=[*words, *options, *self.profile.train_options],
            log=self.places.step(_step_of(name)) / LOG_FILE,
        )
        model = self.places.model(name)
        self._add(_step_of(name), title, "train", train_command(job), model, settings, needs, files=files)

    def _add_untrained(self) -> None:
        profile, model = self.profile, self.places.model("untrained")
        command = [*python_command("experiments.untrained"), "--out", str(model)]
        # the random weights of the training that it is compared with
        command += ["--seed", str(self._seed("train 0")), "--weights", self._weights(profile.start)]
        for key in ("fc6", "fc7"):
            command += [f"--{key}", str(profile.network[key])] if key in profile.network else []
        needs = ["pretext"] if profile.start == "pretext" else []
        title = "network that learnt nothing"
        settings = {**self._settings("network"), **self._start_settings(profile.start)}
        self._add("untrained", title, "experiments.untrained", command, model, settings, needs)

    def _add(
        self,
        name: str,
        title: str,
        tool: str,
        command: List[str],
        result: Path,
        settings: Dict[str, Any],
        needs: Iterable[str] = (),
        counted: Optional[Counted] = None,
        files: Optional[Dict[str, str]] = None,
    ) -> str:
        step = Step(name, title, tool, command, result, settings, tuple(dict.fromkeys(needs)), counted, files or {})
        self.steps[name] = step
        return name

    def _settings(self, *keys: str) -> Dict[str, Any]:
        return {"seed": self.options.seed, **{key: getattr(self.profile, key) for key in keys}}

    def _start_settings(self, start: str) -> Dict[str, Any]:
        weights = {"weights (sha256)": self.options.weights_sha256} if start == "imagenet" else {}
        return {"start": start, **weights}

    def _weights(self, start: str) -> str:
        if start == "imagenet":
            return str(self.options.weights)
        return str(self.places.pretext) if start == "pretext" else "none"

    def _seed(self, purpose: str) -> int:
        """Seed of one purpose, which does not change when steps are added."""
        entropy = [self.options.seed, zlib.crc32(purpose.encode())]
        # ROS parameters are signed numbers of 32 bits
        return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> np.uint32(1))


def gamma_name(gamma: float) -> str:
    """Name of the training of stage 1 with another Gamma."""
    return f"gamma{gamma:g}".replace(".", "_")


def _step_of(model: str) -> str:
    return model if model == "untrained" else f"train_{model}"


def _launch(file: str, **arguments: Any) -> List[str]:
    command = ["roslaunch", "--no-summary", "grasp_learning", file]
    return command + [f"{key}:={value}" for key, value in arguments.items()]
