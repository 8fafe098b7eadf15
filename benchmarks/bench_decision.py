#!/usr/bin/env python3
"""Time of a decision (800 places x 18 angles in a wrist picture, the best grasp evaluated exactly) and its quality.

The peers are the same network on the same 800 patches in batches of 128: as PyTorch runs it by default (fp32), and at
its best (bf16, channels last). Quality compares the grasp that the dense path chooses with the best of all 800
evaluated exactly, in one picture of each of 100 scenes with objects that no model was trained on.

Needs a trained model: an untrained one likes no place better than another. Without --model the newest file in models/
is taken; without any only times are measured.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Callable, Iterable, List, Optional

import numpy as np
import torch
from figures import figure
from wrist_pictures import wrist_pictures

from grasp_learning.checkpoint import Checkpoint, CheckpointInfo, load_checkpoint
from grasp_learning.network import GraspNetwork
from grasp_learning.predictor.dense import dense_probabilities
from grasp_learning.predictor.engine import Engine
from grasp_learning.predictor.exact import cut_patches, exact_probabilities
from grasp_learning.predictor.places import sample_places
from grasp_learning.predictor.predictor import Predictor
from grasp_learning.predictor.ranking import best_rows
from grasp_learning.predictor.settings import PredictorSettings

PLACES, SIDE = 800, 378
BATCH = 128
REPETITIONS = 9
NEAR = 0.95  # of the best exact score
REFINEMENTS = (1, 2, 4)
RESCORED = (1, 8, 16, 24, 32, 48, 64, 96)
MODELS = Path(__file__).parents[1] / "models"


def seconds(work: Callable[[], object], repetitions: int) -> float:
    """Median time of some work, after one run that is not counted."""
    work()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def batched(network: torch.nn.Module, patches: np.ndarray, bf16: bool) -> np.ndarray:
    """The peer: patches (n, 227, 227, 3) through a network in batches, cutting and normalising included elsewhere."""
    answers = []
    with torch.inference_mode():
        for start in range(0, len(patches), BATCH):
            x = network.normalise(patches[start : start + BATCH])
            if bf16:
                x = x.to(torch.bfloat16, memory_format=torch.channels_last)
            answers.append(network.probabilities(network(x)).numpy())
    return np.concatenate(answers)


def measure_time(checkpoint: Checkpoint, picture: np.ndarray) -> List[bool]:
    predictor = Predictor(checkpoint, PredictorSettings())
    decide = lambda: predictor.predict(picture, SIDE, np.random.default_rng(0), patches=PLACES)  # noqa: E731
    decision = seconds(decide, REPETITIONS)
    prediction = decide()
    print("phases: " + ", ".join(f"{name} {1e3 * value:.0f} ms" for name, value in prediction.latency.items()))
    patches = cut_patches(picture, prediction.places, SIDE, checkpoint.network.input_side)
    plain = seconds(lambda: batched(checkpoint.network, patches, False), 1)
    engine = Engine(checkpoint.network, "bf16")
    best_peer = seconds(lambda: batched(engine.network, patches, True), 1)
    reranked = seconds(lambda: predictor.predict(picture, SIDE, np.random.default_rng(0), rerank=True), 3)
    return [
        figure("decision", decision, 0.6, "s"),
        figure("decision_over_batches_fp32", plain / decision, 12, "times", at_most=False),
        # no target: what is left of the gain against a peer with the same precision
        figure("decision_over_batches_bf16", best_peer / decision, 1, "times", at_most=False),
        figure("decision_reranked", reranked, 1.2, "s"),
    ]


def measure_quality(
    checkpoint: Checkpoint, pictures: Iterable[np.ndarray], scenes: int, settings: PredictorSettings
) -> List[bool]:
    predictor = Predictor(checkpoint, settings)
    engine = Engine(checkpoint.network, settings.precision)
    near, ratios = 0, []
    for number, picture in enumerate(pictures):
        prediction = predictor.predict(picture, SIDE, np.random.default_rng(number), patches=PLACES)
        exact = exact_probabilities(engine, picture, prediction.places, SIDE, settings.batch)
        chosen = predictor.best(prediction)
        ratios.append(exact[chosen.place, chosen.bin] / exact.max())
        near += ratios[-1] >= NEAR
    print(f"chosen / best exact score: median {np.median(ratios):.3f}, lowest {min(ratios):.3f}")
    return [figure("decision_within_5_percent", 100 * near / scenes, 95, "of 100", at_most=False)]


def tune(checkpoint: Checkpoint, pictures: Iterable[np.ndarray], scenes: int) -> None:
    """Print how often the dense path's choice is near the best, for each refinement and number of rescored places."""
    engine, batch = Engine(checkpoint.network), PredictorSettings().batch
    near = {(refinement, rescored): 0 for refinement in REFINEMENTS for rescored in RESCORED}
    spent = dict.fromkeys(REFINEMENTS, 0.0)
    for number, picture in enumerate(pictures):
        places = sample_places(picture, SIDE, np.random.default_rng(number), count=PLACES)
        exact = exact_probabilities(engine, picture, places, SIDE, batch).max(axis=1)
        for refinement in REFINEMENTS:
            start = time.perf_counter()
            dense = dense_probabilities(engine, picture, places, SIDE, refinement)
            spent[refinement] += time.perf_counter() - start
            for rescored in RESCORED:
                near[refinement, rescored] += exact[best_rows(dense, rescored)].max() >= NEAR * exact.max()
    for refinement in REFINEMENTS:
        counts = ", ".join(f"{rescored}: {near[refinement, rescored]}" for rescored in RESCORED)
        print(f"refinement {refinement}, {spent[refinement] / scenes:.3f} s; rescored: scenes of {scenes}: {counts}")


def precision_difference(checkpoint: Checkpoint, picture: np.ndarray) -> List[bool]:
    """Largest relative difference of the best entries' scores in 16 and 32 bits."""
    scores = []
    for precision in ("fp32", "auto"):
        predictor = Predictor(checkpoint, PredictorSettings(precision=precision))
        places = predictor.predict(picture, SIDE, np.random.default_rng(0), patches=64, path="exact")
        scores.append(places.probabilities)
    best = scores[0] >= np.sort(scores[0].reshape(-1))[-20]
    difference = np.abs(scores[1] / scores[0] - 1)[best].max()
    return [figure("decision_precision_difference", 100 * difference, 5, "%")]


def find_model(path: Optional[str]) -> Optional[Path]:
    if path:
        return Path(path)
    found = sorted(MODELS.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
    return found[-1] if found else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="checkpoint; default: the newest in models/")
    parser.add_argument("--scenes", type=int, default=100, help="for the quality (default 100)")
    parser.add_argument("--refinement", type=int, default=PredictorSettings().dense.refinement)
    parser.add_argument("--rescored", type=int, default=PredictorSettings().dense.rescored)
    parser.add_argument("--tune", action="store_true", help="a table of refinements and numbers of rescored places")
    arguments = parser.parse_args()
    path = find_model(arguments.model)
    if path is None:
        network = GraspNetwork(generator=torch.Generator().manual_seed(0)).eval()
        checkpoint = Checkpoint(network, CheckpointInfo.of(network), "", Path("untrained.safetensors"))
    else:
        checkpoint = load_checkpoint(path)
    if arguments.tune:
        tune(checkpoint, wrist_pictures(arguments.scenes), arguments.scenes)
        return 0
    picture = next(wrist_pictures(1))
    results = measure_time(checkpoint, picture)
    if path is None:
        print("decision_within_5_percent: not measured, there is no model: give --model FILE")
        return 0 if all(results) else 1
    results += precision_difference(checkpoint, picture)
    settings = PredictorSettings(dense={"refinement": arguments.refinement, "rescored": arguments.rescored})
    results += measure_quality(checkpoint, wrist_pictures(arguments.scenes), arguments.scenes, settings)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
