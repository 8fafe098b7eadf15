"""What can end a training early; every message is one line that says what to do."""


class TrainingError(Exception):
    """A training cannot start or go on; the message names the file or setting and the remedy."""


class TrainingInUseError(TrainingError):
    """Another process is training into the folder."""


class DivergedError(TrainingError):
    """The loss is not a number; what was saved before stays."""


class TrainingInterrupted(TrainingError):
    """A person stopped the training; the same command goes on with it."""
