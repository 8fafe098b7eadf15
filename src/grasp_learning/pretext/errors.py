"""What can go wrong with a pretext task; every message is one line that says what to do."""

from grasp_learning.training.errors import TrainingError


class PretextError(TrainingError):
    """A pretext task cannot start or go on; the message names the file or setting and the remedy."""
