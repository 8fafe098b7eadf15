"""Goes through the steps of all stages; what is done is read from the disk, so it may be killed anywhere and resumed.

Stage 0 collects random trials and trains a network. Stage k collects with the network of stage k - 1 by importance
sampling, adds the trials to the dataset and finetunes that network on D_k = {D_(k-1), gamma x d_k} (section III.D).
"""

import time
from typing import Callable, Dict, List, Optional, Tuple

from grasp_learning.curriculum import results as figures
from grasp_learning.curriculum.errors import CurriculumError, StepFailed
from grasp_learning.curriculum.folder import PICTURE_FILE, CurriculumFolder
from grasp_learning.curriculum.jobs import CollectJob, ExportJob, ModelFacts, ToolFailed, Tools, TrainJob
from grasp_learning.curriculum.results import StageResult
from grasp_learning.curriculum.settings import COLLECT, NOVEL, TEST, TRAIN, CurriculumSettings
from grasp_learning.storage import trials_of
from grasp_learning.storage_errors import CollectionError


class Curriculum:
    """A curriculum under way.

    Args:
        folder: held by this process.
        settings: what is to be done.
        tools: carry out the steps.
        say: takes lines for the person who watches.

    Attributes:
        results: of the stages so far.

    Raises:
        CurriculumError: the settings do not fit what the folder holds.
    """

    def __init__(
        self, folder: CurriculumFolder, settings: CurriculumSettings, tools: Tools, say: Callable[[str], None] = print
    ):
        folder.check(settings)
        if settings.stages < folder.begun:
            raise CurriculumError(
                f"{folder.path}: {folder.begun} stages have begun; ask for at least as many, or start another folder"
            )
        self._folder, self._settings, self._tools, self._say = folder, settings, tools, say
        self._place = "start"
        state = folder.load() or {"stages": []}
        self._recorded = {item["stage"]: StageResult.from_json(item) for item in state["stages"]}
        self.results: List[StageResult] = []

    @property
    def place(self) -> str:
        """Stage and step at which it is, for a person."""
        return self._place

    def run(self) -> List[StageResult]:
        """Do what is left of all stages.

        Returns:
            Their results.

        Raises:
            StepFailed: a step did not do its work; doing it again may.
            CurriculumError: the folder cannot be used any more.
        """
        # recorded before the first stage begins: what a stage was begun with is known however soon it is killed
        self._save()
        parent: Optional[ModelFacts] = None
        for stage in range(self._settings.stages):
            self._folder.begin(stage)
            parent = self._stage(stage, parent)
        return self.results

    def _stage(self, stage: int, parent: Optional[ModelFacts]) -> ModelFacts:
        result = self._recorded.get(stage, StageResult(stage))
        self.results.append(result)
        # a stage that has its network has been learnt, whatever became of its trials since
        if self._model(stage, parent) is None:
            self._step(stage, "collect", lambda: self._collect(stage, parent))
            if stage == 0 and self._settings.novel_trials:
                self._step(stage, "novel", self._novel)
            self._step(stage, "export", lambda: self._export(stage))
            self._step(stage, "train", lambda: self._train(stage))
        facts = self._model(stage, parent)
        if facts is None:
            raise StepFailed(
                f"stage {stage}, train: no network was written; look at {self._folder.log(stage, 'train')}"
            )
        if self._settings.test_trials:
            self._step(stage, "test", lambda: self._test(stage))
        self._conclude(result, facts)
        return facts

    # Steps

    def _collect(self, stage: int, parent: Optional[ModelFacts]) -> None:
        guided = stage > 0
        job = CollectJob(
            folder=self._folder.collection(stage),
            stage=stage,
            trials=self._settings.trials_of(stage),
            seed=self._settings.stream(stage, COLLECT),
            mode="staged" if guided else "random",
            model=self._folder.model(stage - 1) if guided else None,
            objects="train",
            log=self._folder.log(stage, "collect"),
        )
        self._bring_to(job)

    def _novel(self) -> None:
        job = CollectJob(
            folder=self._folder.novel,
            stage=0,
            trials=self._settings.novel_trials,
            seed=self._settings.stream(0, NOVEL),
            mode="random",
            model=None,
            objects="test",
            log=self._folder.log(0, "novel"),
        )
        self._bring_to(job)

    def _test(self, stage: int) -> None:
        job = CollectJob(
            folder=self._folder.test(stage),
            stage=stage,
            trials=self._settings.test_trials,
            seed=self._settings.stream(stage, TEST),
            mode="best",
            model=self._folder.model(stage),
            objects="test",
            log=self._folder.log(stage, "test"),
        )
        self._bring_to(job)

    def _bring_to(self, job: CollectJob) -> None:
        if count(job.folder)[0] >= job.trials:
            return
        self._tools.collect(job)
        trials = count(job.folder)[0]
        if trials < job.trials:
            raise ToolFailed(f"recorded only {trials} of {job.trials} trials")

    def _export(self, stage: int) -> None:
        folder = self._folder
        # those of earlier stages may have been removed to make room: their patches are in the dataset
        collections = [folder.novel, *(folder.collection(each) for each in range(stage + 1))]
        collections = [collection for collection in collections if collection.exists()]
        self._tools.export(ExportJob(collections, folder.dataset, folder.log(stage, "export")))
        if self._tools.patches_of(folder.dataset, folder.collection(stage).name) == 0:
            raise ToolFailed(f"no trial of stage {stage} came into {folder.dataset}")

    def _train(self, stage: int) -> None:
        settings, folder = self._settings, self._folder
        self._tools.train(
            TrainJob(
                dataset=folder.dataset,
                folder=folder.training(stage),
                model=folder.model(stage),
                stage=stage,
                parent=folder.model(stage - 1) if stage else None,
                epochs=settings.epochs_of(stage),
                gamma=settings.gamma,
                seed=settings.stream(stage, TRAIN),
                options=settings.train_options,
                log=folder.log(stage, "train"),
            )
        )

    # Around the steps

    def _step(self, stage: int, name: str, work: Callable[[], None]) -> None:
        self._place = f"stage {stage}, {name}"
        start = time.monotonic()
        try:
            with self._folder.explained():
                work()
        except (ToolFailed, CollectionError, CurriculumError) as error:
            raise StepFailed(f"{self._place}: {error} (log: {self._folder.log(stage, name)})") from error
        seconds = self.results[-1].seconds
        seconds[name] = seconds.get(name, 0.0) + time.monotonic() - start
        self._save()

    def _model(self, stage: int, parent: Optional[ModelFacts]) -> Optional[ModelFacts]:
        """Facts of a stage's network, None while there is none."""
        path = self._folder.model(stage)
        try:
            facts = self._tools.model_facts(path)
        except ToolFailed as error:
            raise StepFailed(f"stage {stage}: {error}; remove it to train it again") from error
        if facts is None:
            return None
        if facts.stage != stage:
            raise StepFailed(f"{path}: is the network of stage {facts.stage}, not {stage}; remove it to train it again")
        if parent is not None and facts.parent_sha256 != parent.sha256:
            raise StepFailed(
                f"{path}: was not finetuned from {self._folder.model(stage - 1)}; put the old one back, "
                "or start another folder"
            )
        return facts

    def _conclude(self, result: StageResult, facts: ModelFacts) -> None:
        stage = result.stage
        # collections may have been removed to make room: what they held is known from before
        if self._folder.collection(stage).exists():
            result.trials, result.positives = count(self._folder.collection(stage))
        if self._folder.test(stage).exists():
            result.test_trials, result.test_positives = count(self._folder.test(stage))
        if stage == 0 and self._folder.novel.exists():
            result.novel_trials, result.novel_positives = count(self._folder.novel)
        result.model_sha256 = facts.sha256
        result.accuracy_seen, result.accuracy_novel = facts.accuracy_seen, facts.accuracy_novel
        result.dataset = facts.patches
        self._save()
        with self._folder.explained():
            figures.draw(self.results, self._folder.path / PICTURE_FILE)
        self._say(f"\nafter stage {stage}:\n{figures.table(self.results)}\n")

    def _save(self) -> None:
        known: Dict[int, StageResult] = {**self._recorded, **{result.stage: result for result in self.results}}
        self._folder.save(self._settings, [known[stage].as_json() for stage in sorted(known)])


def count(collection) -> Tuple[int, int]:
    """Labelled trials of a collection, and how many of them held something; (0, 0) where there is none.

    Raises:
        CollectionError: it is damaged.
    """
    outcomes = [trial["outcome"] for trial in trials_of(collection)]
    return len(outcomes), outcomes.count("SUCCESS")
