"""What all unit tests start with, and fixtures that several of them use."""

import signal

import pytest

# A test run in the background of a shell begins with Ctrl-C ignored, and so would every program that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """In the process that hears of its workers' warnings: it imports their classes, Lightning's among them."""
    # only here: a single file needs none of it
    from grasp_learning.torchvision_guard import import_torchvision

    import_torchvision()


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch computes with one thread: with several, sums may be made in another order."""
    # only here: most tests do without it
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
