"""Seeds of a run: the same folder and seed never give the same random choices twice."""

import numpy as np

from grasp_learning.storage import count_trials


def run_seed(seed: int, data: str) -> int:
    """Seed of a run into a collection's folder.

    A fresh folder gives the seed itself, so that a run can be repeated. A resumed one mixes in how many trials it
    holds, or else it would start with the objects, regions and angles of the first run again.

    Args:
        data: the folder; empty where nothing is recorded.

    Raises:
        CollectionError: the folder's list of trials is damaged.
    """
    finished = count_trials(data) if data else 0
    return seed if finished == 0 else int(np.random.SeedSequence([seed, finished]).generate_state(1)[0])
