"""What can keep a curriculum from going on."""


class CurriculumError(Exception):
    """A curriculum cannot go on; the message is one line that names place, reason and remedy."""


class StepFailed(CurriculumError):
    """A step ended without having done its work; the message names stage, step, reason and log file."""
