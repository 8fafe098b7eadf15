"""The model that is served, and another one that is loaded beside it."""

import threading

import pytest

pytest.importorskip("rospy")
pytest.importorskip("grasp_learning.srv", reason="the workspace's messages are not built or not sourced")

from grasp_learning.ros.grasp_predictor import LoadFailed, Models


class SlowMaker:
    """Makes a "predictor" of a path when it is let."""

    def __init__(self):
        self.go, self.begun = threading.Event(), threading.Event()

    def __call__(self, path):
        self.begun.set()
        assert self.go.wait(10)
        if path == "broken":
            raise LoadFailed("broken: is truncated")
        return f"predictor of {path}"


def test_a_model_is_served_as_soon_as_it_is_ready_and_not_before():
    make = SlowMaker()
    models = Models(make, timeout=10)
    loading = threading.Thread(target=models.load, args=("a",))
    loading.start()
    assert make.begun.wait(10) and models.current is None
    with pytest.raises(LoadFailed, match="b: not loaded, for another model is being loaded"):
        models.load("b")
    make.go.set()
    loading.join(10)
    assert models.current == "predictor of a"
    assert models.load("b") == models.current == "predictor of b"


def test_a_broken_file_changes_nothing():
    make = SlowMaker()
    make.go.set()
    models = Models(make, timeout=10)
    models.load("a")
    with pytest.raises(LoadFailed, match="is truncated"):
        models.load("broken")
    assert models.current == "predictor of a"
    assert models.load("c") == "predictor of c"


def test_a_load_that_takes_too_long_is_given_up_and_not_served_later():
    make = SlowMaker()
    models = Models(make, timeout=0.05)
    with pytest.raises(LoadFailed, match="a: not loaded within 0.05 s"):
        models.load("a")
    make.go.set()
    for _ in range(100):
        try:
            models._timeout = 10
            models.load("b")
            break
        except LoadFailed:  # the first one still ends
            threading.Event().wait(0.05)
    assert models.current == "predictor of b"
