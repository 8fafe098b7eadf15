"""What the network's modules raise."""


class NetworkError(ValueError):
    """A network cannot be made or used as asked: unfit weights, a wrong input; the message says what was expected."""
