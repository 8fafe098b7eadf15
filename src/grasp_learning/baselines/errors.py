"""What can keep a baseline from being fitted; every message is one line with the remedy."""

from grasp_learning.evaluation.method import MethodError


class TooFewSuccessesError(MethodError):
    """There are not enough successes, or failures, to learn an angle class from."""


class NotFittedError(MethodError):
    """A baseline was asked for scores before it had learnt anything, or its parameters were not chosen yet."""
