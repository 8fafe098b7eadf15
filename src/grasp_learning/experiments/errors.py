"""What can keep experiments from going on."""


class ExperimentError(Exception):
    """Experiments cannot go on; the message is one line that names place, reason and remedy."""


class StepFailed(ExperimentError):
    """A step ended without having done its work; the message names step, reason and log file."""
