"""Why a calibration has no result; each message says what to do."""


class CalibrationError(Exception):
    """The measurements do not give a calibration."""


class TooFewViews(CalibrationError):
    """The marker was seen too rarely, or most of what was seen does not agree."""


class DegeneratePoses(CalibrationError):
    """The poses are too much alike to tell the camera's pose from the marker's mount."""


class WrongMarkerSize(CalibrationError):
    """The marker is smaller or larger than the settings say."""


class NoTable(CalibrationError):
    """What was measured is no level plane."""
