"""A pretext task from its settings to a file of convolutions: render, train, judge on tables that were held back.

Files in the folder of the work, besides its lock::

    scenes/000000.parquet    patches of a table; scenes/train.yaml: what they follow from
    patches.png              some patches of each kind
    training/                as `train`'s: train.yaml, state.ckpt, logs
"""

import contextlib
import hashlib
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Sequence

import numpy as np
import torch
from tqdm import tqdm

import grasp_learning
from grasp_learning.dataset.schema import INNER_RATIO
from grasp_learning.pretext.errors import PretextError
from grasp_learning.pretext.module import KindNetwork, PretextModule, evaluate
from grasp_learning.pretext.picture import save_examples
from grasp_learning.pretext.scene_files import Patches, read_scenes, scene_path
from grasp_learning.pretext.scenes import SceneJob, ScenePlan, SceneSetup, kinds, objects_by_kind
from grasp_learning.pretext.settings import PretextSettings, is_held_back
from grasp_learning.pretext.weights_file import SAME, PretextInfo, read_info, save_convolutions
from grasp_learning.simulation.workers import WorkerError, Workers
from grasp_learning.storage import file_sha256, utc_now
from grasp_learning.summary import wilson_interval
from grasp_learning.training.data import GraspData
from grasp_learning.training.errors import TrainingInterrupted
from grasp_learning.training.folder import STATE_FILE, claim, kind_of, locked, saved, write_whole
from grasp_learning.training.hardware import accelerator_of, local_device, memory_for_patches
from grasp_learning.training.loading import PATCH_BYTES, CompressedPatches
from grasp_learning.training.loop import fit, make_trainer
from grasp_learning.training.samples import DecodedPatches, Samples, make_samples

SCENES_FOLDER, TRAINING_FOLDER, PICTURE_FILE = "scenes", "training", "patches.png"


@dataclass(frozen=True)
class PretextResult:
    """A finished pretext task.

    Attributes:
        path: file of the weights.
        sha256: of the file.
        info: what it says of itself.
        finished_before: whether there was nothing left to do.
    """

    path: Path
    sha256: str
    info: PretextInfo
    finished_before: bool = False


def train_pretext(settings: PretextSettings, setup: Optional[Callable[[], Any]] = None) -> PretextResult:
    """Learn convolutions, or go on where an earlier run was interrupted.

    Args:
        setup: makes the function that renders a table in a worker's process, as SceneSetup does, which is the default.

    Raises:
        PretextError: a table cannot be rendered, or files of something else are in the way.
        TrainingError: see grasp_learning.training.run.train.
    """
    training = settings.training
    accelerator = accelerator_of(training)
    out = Path(settings.out)
    if out.exists():
        return _result_of_before(settings, out)
    with saved(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with locked(settings.folder):
        _render(settings, setup or SceneSetup(ScenePlan(settings.seed, settings.views)))
        patches = read_scenes(settings.folder / SCENES_FOLDER, range(settings.scenes), kinds())
        save_examples(settings.folder / PICTURE_FILE, patches, kinds())
        # the global generator is reseeded in each step; whoever called has theirs back afterwards
        with torch.random.fork_rng(enabled=accelerator == "cpu"):
            return _train(settings, patches, accelerator)


def _result_of_before(settings: PretextSettings, out: Path) -> PretextResult:
    info = read_info(out)
    for key in SAME:
        before, now = getattr(info, key), getattr(settings, key)
        if before != now:
            raise PretextError(
                f"{out}: is of another pretext task, '{key}' is {before!r} there and {now!r} now; start with the same "
                "settings, or choose another --out"
            )
    return PretextResult(out, file_sha256(out), info, finished_before=True)


# --- rendering ------------------------------------------------------------------------------------------------------


def _render(settings: PretextSettings, setup: Callable[[], Any]) -> None:
    """Render the tables that are not there yet.

    Raises:
        PretextError: one cannot be rendered, or the folder holds those of another task.
        TrainingInterrupted: by Ctrl-C or SIGTERM.
    """
    folder = settings.folder / SCENES_FOLDER
    with saved(folder):
        folder.mkdir(exist_ok=True)
    objects = "\n".join(repr(spec) for specs in objects_by_kind().values() for spec in specs)
    claim(folder, {"seed": settings.seed, "views": settings.views, "objects": _sha256([objects.encode()])})
    jobs = [SceneJob(scene) for scene in range(settings.scenes) if not scene_path(folder, scene).exists()]
    bar = tqdm(
        desc="rendering",
        total=settings.scenes,
        initial=settings.scenes - len(jobs),
        unit="scene",
        disable=None if settings.progress else True,
    )
    with bar, _asked_to_stop() as stopped:
        workers = Workers(
            min(settings.workers, max(1, len(jobs))),
            setup,
            settings.scene_deadline,
            note=lambda text: bar.write(f"train_pretext: {text}", file=sys.stderr),
        )
        done = 0
        try:
            for job, content in workers.results(jobs, stopped):
                write_whole(scene_path(folder, job.scene), content)
                done += 1
                bar.update()
        except WorkerError as error:
            raise PretextError(f"{error}; what was rendered is in {folder}") from None
    if done < len(jobs):
        rendered = settings.scenes - len(jobs) + done
        raise TrainingInterrupted(
            f"stopped while rendering; {rendered} of {settings.scenes} scenes are saved, start the same command again "
            "to go on"
        )


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came meanwhile; only a program's main thread gets signals."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sha256(parts: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


# --- training -------------------------------------------------------------------------------------------------------


def _train(settings: PretextSettings, patches: Patches, accelerator: str) -> PretextResult:
    training, classes = settings.training, kinds()
    folder = settings.folder / TRAINING_FOLDER
    with saved(folder):
        folder.mkdir(exist_ok=True)
    identity = _sha256([*patches.pictures, *(kind.encode() for kind in patches.kinds)])
    claim(folder, {**kind_of(training, identity, ""), "scenes": settings.scenes})
    held = np.array([is_held_back(scene) for scene in patches.scenes], bool)
    train_samples, held_samples = (_samples(settings, patches, rows) for rows in (~held, held))
    network = KindNetwork(settings.variant, len(classes), torch.Generator().manual_seed(settings.seed)).train()
    data = GraspData(training, train_samples, held_samples)
    module = PretextModule(network, training, data.steps_per_epoch)
    state = folder / STATE_FILE
    fit(make_trainer(training, folder, accelerator), module, data, state if state.exists() else None)
    network.to(local_device(accelerator))
    score = evaluate(network, held_samples, settings.batch_size)
    low, high = wilson_interval(score.correct, score.samples)
    figures: Dict[str, Any] = {key: getattr(settings, key) for key in SAME}
    info = PretextInfo(
        **figures,
        kinds=list(classes),
        patches=len(train_samples),
        held_back=score.samples,
        accuracy=score.accuracy,
        low=low,
        high=high,
        balanced_accuracy=score.balanced_accuracy,
        chance=1 / len(classes),
        most_frequent=score.most_frequent,
        data_sha256=identity,
        created=utc_now(),
        package_version=grasp_learning.__version__,
    )
    out = Path(settings.out)
    return PretextResult(out, save_convolutions(out, network.convolutions(), info), info)


def _samples(settings: PretextSettings, patches: Patches, rows: np.ndarray) -> Samples:
    """The patches of some rows (n,) bool, their kinds as labels.

    Raises:
        PretextError: there is none.
    """
    places = np.flatnonzero(rows)
    if not len(places):
        raise PretextError(f"{settings.folder}: too few patches to train on and to judge by; render more --scenes")
    numbers = {kind: number for number, kind in enumerate(kinds())}
    labels = [numbers[patches.kinds[place]] for place in places]
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode")
    compressed = CompressedPatches([patches.pictures[place] for place in places], pool)
    zeros = np.zeros(len(places))
    samples = make_samples(compressed, zeros, labels, zeros, np.full(len(places), INNER_RATIO))
    if len(patches.pictures) * PATCH_BYTES > memory_for_patches(settings.training) * 1e9:
        return samples
    pictures = compressed.take(torch.arange(len(places))).permute(0, 2, 3, 1)
    pool.shutdown()
    return make_samples(DecodedPatches(pictures), zeros, labels, zeros, samples.inner.numpy())
