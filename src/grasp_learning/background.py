"""What an empty table looks like, and what in a picture is not table: OpenCV's MOG2 under changing light.

MOG2 cannot be saved, so the pictures it learnt from are: a few of them, fed to it again after a restart.
"""

import os
import zipfile
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np
from pydantic import Field

from grasp_learning.config import Settings

_FOREGROUND, _SHADOW = 255, 127  # MOG2's values


class BackgroundError(ValueError):
    """There is no background to compare with, or it belongs to another camera or table; the message says what to do."""


class BackgroundSettings(Settings):
    """How the background is learnt and compared.

    Attributes:
        var_threshold: squared distance from the background, in variances, from which a pixel counts as an object.
        variance: least variance of a pixel's intensity (grey levels squared); a few pictures underestimate it.
        shadow_darkness: least brightness of a shadow relative to the table; darker is an object.
        learning_rate: share with which a new picture enters the background far from objects.
        guard: distance from objects and arms within which the background is left alone (px of the compared picture).
        kept_frames: how many of the learnt pictures are kept in the file.
    """

    var_threshold: float = Field(20.0, gt=0)
    variance: float = Field(12.0, gt=0)
    shadow_darkness: float = Field(0.35, gt=0, lt=1)
    learning_rate: float = Field(0.01, ge=0, lt=1)
    guard: int = Field(15, ge=0)
    kept_frames: int = Field(5, ge=1)


class Background:
    """A learnt background of pictures of one size.

    Light that changes slowly over the whole table (lamps, daylight) is fitted as one gain per channel that varies
    linearly over the picture, from pixels that still look like table, and taken out before MOG2 sees the picture.

    Args:
        frames: BGR pictures (rows, columns, 3) uint8 of the empty table, at least one.
    """

    def __init__(self, frames: Sequence[np.ndarray], settings: BackgroundSettings):
        if not frames:
            raise BackgroundError("a background is learnt from at least one picture of the empty table, got none")
        self._settings = settings
        self.frames: List[np.ndarray] = [np.array(frame) for frame in frames[: settings.kept_frames]]
        smoothed = [_smooth(frame) for frame in frames]
        self._reference = np.median(smoothed, axis=0).astype(np.float32)
        self._mog = self._create(len(frames))
        for index, frame in enumerate(smoothed):
            self._mog.apply(self._relit(frame, np.zeros(frame.shape[:2], bool)), learningRate=1.0 / (index + 1))

    def _create(self, history: int) -> "cv2.BackgroundSubtractorMOG2":
        settings = self._settings
        mog = cv2.createBackgroundSubtractorMOG2(max(history, 2), settings.var_threshold, detectShadows=True)
        mog.setVarThresholdGen(settings.var_threshold)
        mog.setVarMin(settings.variance)
        mog.setVarInit(settings.variance)
        mog.setVarMax(5 * settings.variance)
        mog.setShadowThreshold(settings.shadow_darkness)
        return mog

    @property
    def shape(self) -> Tuple[int, int]:
        """(rows, columns) of the pictures."""
        return self._reference.shape[:2]

    def foreground(self, image: np.ndarray, ignore: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Pixels that are not table, and pixels that are darker table: its shadow, or a grey object.

        Args:
            image: BGR picture of the background's size.
            ignore: bool mask of pixels that say nothing: outside the table or covered by an arm.

        Returns:
            Two bool masks, objects and shadows; False where ignored.

        Raises:
            BackgroundError: the picture's size is another.
        """
        if image.shape[:2] != self.shape:
            raise BackgroundError(
                f"the background is for pictures of {self.shape}, got {image.shape[:2]}: learn it again"
            )
        relit = self._relit(_smooth(image), ignore)
        verdict = self._mog.apply(relit, learningRate=0)
        objects, shadows = (verdict == _FOREGROUND) & ~ignore, (verdict == _SHADOW) & ~ignore
        self._adapt(relit, objects | shadows | ignore)
        return objects, shadows

    def _adapt(self, relit: np.ndarray, untrusted: np.ndarray) -> None:
        """Let pixels far from everything drift with the picture; the others stay as they were learnt."""
        if self._settings.learning_rate == 0:
            return
        size = 2 * self._settings.guard + 1
        near = cv2.dilate(untrusted.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
        mixed = np.where(near[..., None], np.rint(self._reference).astype(np.uint8), relit)
        self._mog.apply(mixed, learningRate=self._settings.learning_rate)

    def _relit(self, image: np.ndarray, ignore: np.ndarray) -> np.ndarray:
        """The picture as it would be under the light in which the background was learnt."""
        gain = fit_light(image, self._reference, ignore)
        return np.clip(np.rint(image / gain), 0, 255).astype(np.uint8)


def _smooth(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (3, 3), 0)


def fit_light(image: np.ndarray, reference: np.ndarray, ignore: np.ndarray, step: int = 6) -> np.ndarray:
    """Ratio of a picture's light to a reference's, robust to objects that cover less than half of the picture.

    Args:
        image, reference: BGR (rows, columns, 3).
        ignore: bool mask of pixels to leave out.
        step: every so manieth row and column is used.

    Returns:
        float32 (rows, columns, 3), the exponential of a plane for each channel; ones where too little is seen.
    """
    rows, columns = image.shape[:2]
    part = (slice(None, None, step), slice(None, None, step))
    a, b = image[part].astype(np.float32), reference[part].astype(np.float32)
    usable = ~ignore[part] & (np.minimum(a, b).min(axis=2) > 8) & (np.maximum(a, b).max(axis=2) < 250)
    v, u = np.mgrid[0:rows:step, 0:columns:step]
    basis = np.column_stack([np.ones(usable.sum()), u[usable] / columns - 0.5, v[usable] / rows - 0.5])
    ratio = np.log(np.maximum(a[usable], 1) / np.maximum(b[usable], 1))  # (n, 3)
    coefficients = _robust_plane(basis, ratio)
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float32)
    plane = np.stack([np.ones_like(u), u / columns - 0.5, v / rows - 0.5], axis=2)
    return np.exp(plane @ coefficients.astype(np.float32))


def _robust_plane(basis: np.ndarray, ratio: np.ndarray, rounds: int = 4) -> np.ndarray:
    """(3, 3) coefficients of planes through log ratios (n, 3), trimmed about their median."""
    coefficients = np.zeros((3, 3))
    if len(ratio) < 100:
        return coefficients
    coefficients[0] = np.median(ratio, axis=0)
    for _ in range(rounds):
        residual = np.abs(ratio - basis @ coefficients).max(axis=1)
        near = residual <= max(0.02, 2.5 * np.median(residual))
        coefficients = np.linalg.lstsq(basis[near], ratio[near], rcond=None)[0]
    return coefficients


def save_background(background: Background, path, labels: Mapping[str, Sequence[float]], session: str) -> None:
    """Write a background to an npz file, whole or not at all.

    Args:
        labels: numbers that say what it belongs to (camera, table); compared when it is loaded.
        session: name of the session it was learnt in; compared likewise.
    """
    path = Path(path)
    arrays = {f"frame{index}": _png(frame) for index, frame in enumerate(background.frames)}
    arrays["session"] = np.array(session)
    arrays.update({f"label_{name}": np.asarray(value, float) for name, value in labels.items()})
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load_background(
    path, settings: BackgroundSettings, labels: Mapping[str, Sequence[float]], session: str
) -> Optional[Background]:
    """Read a background; None where there is no such file.

    Raises:
        BackgroundError: the file is broken, or was learnt in another session or with another camera or table.
    """
    path = Path(path)
    if not path.exists():
        return None
    remedy = "clear the table and call ~reset_background"
    try:
        with np.load(path) as stored:
            arrays = dict(stored)
        frames = [cv2.imdecode(arrays[name], cv2.IMREAD_COLOR) for name in sorted(arrays) if name.startswith("frame")]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, cv2.error) as error:
        raise BackgroundError(f"{path} is no background file ({error}): {remedy}") from None
    if str(arrays.get("session", "")) != session:
        # since then the light, the table or the Kinect may have been changed by hand
        raise BackgroundError(f"{path} was learnt in another session: {remedy}")
    for name, value in labels.items():
        known = arrays.get(f"label_{name}")
        if known is None or known.shape != np.shape(value) or not np.allclose(known, value, atol=1e-6):
            raise BackgroundError(f"{path} was learnt with another {name}: {remedy}")
    if not frames or any(frame is None for frame in frames):
        raise BackgroundError(f"{path} holds no pictures: {remedy}")
    return Background(frames, settings)


def _png(frame: np.ndarray) -> np.ndarray:
    done, data = cv2.imencode(".png", frame)
    if not done:
        raise BackgroundError(f"a picture {frame.shape} {frame.dtype} cannot be written as PNG")
    return data.reshape(-1)
