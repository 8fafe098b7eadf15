"""How each stage of a curriculum went, as a table and as a picture."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np

from grasp_learning.durable import write_atomically
from grasp_learning.summary import wilson_interval

HEADER = (
    "stage", "grasps", "trials", "positives", "grasp rate (95 %)", "dataset", "acc. seen", "acc. novel",
    "novel objects: rate (95 %)", "time",
)  # fmt: skip
INK, GRID, COLLECTED, TESTED = (40, 40, 40), (225, 225, 225), (160, 110, 30), (60, 150, 60)  # BGR
FONT = cv2.FONT_HERSHEY_SIMPLEX
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 480, 80, 30, 60, 60  # px


@dataclass
class StageResult:
    """Figures of one stage.

    Attributes:
        stage: 0 for the random one.
        trials, positives: labelled trials of its collection, and those that held something.
        dataset: patches that its network was trained with, without their weights.
        accuracy_seen, accuracy_novel: balanced accuracy on the test splits; None where there is no such split.
        test_trials, test_positives: with its network's best grasps on held-out objects.
        novel_trials, novel_positives: of stage 0: random grasps on held-out objects.
        seconds: that its steps ran, those that were killed left out (s, wall clock).
        model_sha256: of its network; empty while there is none.
    """

    stage: int
    trials: int = 0
    positives: int = 0
    dataset: int = 0
    accuracy_seen: Optional[float] = None
    accuracy_novel: Optional[float] = None
    test_trials: int = 0
    test_positives: int = 0
    novel_trials: int = 0
    novel_positives: int = 0
    seconds: Dict[str, float] = field(default_factory=dict)
    model_sha256: str = ""

    def as_json(self) -> Dict[str, Any]:
        """As it stands in curriculum.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "StageResult":
        """From curriculum.json; keys of other versions are left out."""
        return cls(**{key: value for key, value in values.items() if key in cls.__dataclass_fields__})


def table(results: Sequence[StageResult]) -> str:
    """The figures of all stages for a person."""
    rows = [HEADER, *(_row(result) for result in results)]
    # a column without any figure says nothing
    kept = [column for column in range(len(HEADER)) if column < 5 or any(row[column] != "-" for row in rows[1:])]
    widths = [max(len(row[column]) for row in rows) for column in kept]
    lines = ["  ".join(row[c].rjust(w) for c, w in zip(kept, widths)).rstrip() for row in rows]
    for result in results:
        if result.novel_trials:
            rate = _rate(result.novel_positives, result.novel_trials)
            lines.append(f"random grasps on novel objects: {rate} of {result.novel_trials} trials")
    return "\n".join(lines)


def _row(result: StageResult) -> Tuple[str, ...]:
    return (
        str(result.stage),
        "random" if result.stage == 0 else f"model {result.stage - 1}",
        str(result.trials),
        str(result.positives),
        _rate(result.positives, result.trials),
        str(result.dataset) if result.dataset else "-",
        _share(result.accuracy_seen),
        _share(result.accuracy_novel),
        _rate(result.test_positives, result.test_trials),
        _duration(sum(result.seconds.values())),
    )


def _rate(positives: int, trials: int) -> str:
    if not trials:
        return "-"
    low, high = wilson_interval(positives, trials)
    return f"{100 * positives / trials:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _share(value: Optional[float]) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _duration(seconds: float) -> str:
    if seconds <= 0:
        return "-"
    minutes, seconds = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def draw(results: Sequence[StageResult], path: Path) -> None:
    """Draw the grasp rate of each stage with its 95 % interval into a PNG.

    Raises:
        OSError: it cannot be written.
    """
    collected = [(r.stage, r.positives, r.trials) for r in results if r.trials]
    tested = [(r.stage, r.test_positives, r.test_trials) for r in results if r.test_trials]
    series = [("collected", COLLECTED, collected), ("best grasps, novel objects", TESTED, tested)]
    highest = max((wilson_interval(p, n)[1] for _, _, points in series for _, p, n in points), default=1.0)
    top = min(1.0, math.ceil(highest * 10) / 10)
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    _axes(image, len(results), top)
    for index, (name, color, points) in enumerate(series):
        if points:
            _curve(image, points, len(results), top, color, 6 * index - 3)
            _write(image, name, LEFT + 10 + 150 * index, 35, color)
    done, data = cv2.imencode(".png", image)
    if not done:
        raise OSError(f"{path}: the picture cannot be encoded")
    write_atomically(path, path.with_name(f".{path.name}.part"), data.tobytes())


def _place(stage: float, rate: float, stages: int, top: float) -> Tuple[int, int]:
    u = LEFT + (stage + 0.5) / stages * (WIDTH - LEFT - RIGHT)
    v = HEIGHT - BOTTOM - rate / top * (HEIGHT - TOP - BOTTOM)
    return int(round(u)), int(round(v))


def _axes(image: np.ndarray, stages: int, top: float) -> None:
    for tenth in range(int(round(10 * top)) + 1):
        v = _place(0, tenth / 10, stages, top)[1]
        cv2.line(image, (LEFT, v), (WIDTH - RIGHT, v), GRID, 1)
        _write(image, f"{10 * tenth} %", 20, v + 5, INK)
    for stage in range(stages):
        _write(image, str(stage), _place(stage, 0, stages, top)[0] - 5, HEIGHT - BOTTOM + 25, INK)
    _write(image, "stage", WIDTH // 2 - 20, HEIGHT - 12, INK)
    _write(image, "grasp rate", 12, 20, INK)


def _curve(
    image: np.ndarray, points: List[Tuple[int, int, int]], stages: int, top: float, color: Tuple, shift: int
) -> None:
    places = []
    for stage, positives, trials in points:
        u, v = _place(stage, positives / trials, stages, top)
        low, high = (_place(stage, rate, stages, top)[1] for rate in wilson_interval(positives, trials))
        cv2.line(image, (u + shift, low), (u + shift, high), color, 2, cv2.LINE_AA)
        cv2.circle(image, (u + shift, v), 6, color, -1, cv2.LINE_AA)
        _write(image, f"{100 * positives / trials:.1f} %", u + shift + 12, v + 5, color)
        places.append((u + shift, v))
    for start, end in zip(places, places[1:]):
        cv2.line(image, start, end, color, 1, cv2.LINE_AA)


def _write(image: np.ndarray, text: str, u: int, v: int, color: Tuple) -> None:
    cv2.putText(image, text, (u, v), FONT, 0.5, color, 1, cv2.LINE_AA)
