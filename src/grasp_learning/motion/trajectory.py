"""A timed joint motion."""

from dataclasses import dataclass
from typing import Tuple

import numpy as np


@dataclass(frozen=True)
class Trajectory:
    """Densely sampled motion of one arm from rest to rest; joints in the order s0..w2.

    Attributes:
        times: (n,) from 0, increasing (s).
        positions: (n, 7) (rad).
        velocities: (n, 7) (rad/s).
        accelerations: (n, 7) (rad/s^2).
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    accelerations: np.ndarray

    @property
    def duration(self) -> float:
        """Length of the motion (s)."""
        return float(self.times[-1])

    def sample(self, t: float) -> Tuple[np.ndarray, np.ndarray]:
        """Position (7,) and velocity (7,) at a time (s); held still before the start and after the end."""
        if t <= 0.0:
            return self.positions[0].copy(), np.zeros(7)
        if t >= self.duration:
            return self.positions[-1].copy(), np.zeros(7)
        index = int(np.searchsorted(self.times, t, side="right")) - 1
        h = self.times[index + 1] - self.times[index]
        u = (t - self.times[index]) / h
        p0, p1 = self.positions[index], self.positions[index + 1]
        m0, m1 = h * self.velocities[index], h * self.velocities[index + 1]
        # cubic Hermite: passes through the samples with their velocities
        c2, c3 = 3 * (p1 - p0) - 2 * m0 - m1, 2 * (p0 - p1) + m0 + m1
        return p0 + u * (m0 + u * (c2 + u * c3)), (m0 + u * (2 * c2 + 3 * u * c3)) / h
