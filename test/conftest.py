"""What all unit tests start with, and fixtures that several of them use."""

import signal

import pytest

# A test run in the background of a shell begins with Ctrl-C ignored, and so would every program that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch computes with one thread: with several, sums may be made in another order."""
    # only here: most tests do without it
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
