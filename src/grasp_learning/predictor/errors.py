"""What can be wrong with a picture or a question; each error is one line for a person."""


class PredictionError(RuntimeError):
    """A prediction that was asked for cannot be made."""


class BadImageError(PredictionError):
    """The picture has another type, shape or size than a prediction needs."""


class RegionError(PredictionError):
    """The region is outside the picture, or is no region at all."""


class NothingToLookAtError(PredictionError):
    """Every patch that was tried is blank: there is nothing in the picture, or it shows one colour."""
