"""What baxter_sim decides without a ROS graph: its settings, and who runs what in which thread."""

import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("baxter_core_msgs", reason="needs the built workspace")

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.geometry import Camera
from grasp_learning.ros.baxter_sim import BaxterSimSettings
from grasp_learning.ros.sim_cameras import scaled
from grasp_learning.ros.sim_publisher import to_stamp
from grasp_learning.ros.sim_thread import Inbox

CONFIG = Path(__file__).resolve().parent.parent / "config" / "baxter_sim.yaml"


def test_config_file_states_the_defaults():
    assert parse_settings(BaxterSimSettings, yaml.safe_load(CONFIG.read_text()), str(CONFIG)) == BaxterSimSettings()


@pytest.mark.parametrize("speed", ["max", 1, 0.5, 4.0])
def test_speeds(speed):
    assert BaxterSimSettings(speed=speed).speed == speed


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("speed", 0, "above 0"),
        ("speed", -1.0, "above 0"),
        ("speed", "fast", "'max'"),
        ("speed", True, "'max'"),
        ("speed", float("nan"), "above 0"),
        ("split", "validation", "'train' or 'test'"),
        ("objects", -1, "greater than or equal to 0"),
        ("objects", 31, "less than or equal to 30"),
        ("seed", -1, "greater than or equal to 0"),
        ("kinect_rate", 0.0, "greater than 0"),
        ("colour", 1, "unknown"),
    ],
)
def test_wrong_parameters_are_named_with_what_was_expected(key, value, expected):
    with pytest.raises(ConfigError) as caught:
        parse_settings(BaxterSimSettings, {key: value}, "/baxter_sim")
    message = str(caught.value)
    assert message.startswith(f"/baxter_sim: key '{key}'")
    assert expected in message
    assert "\n" not in message


def test_resized_pictures_keep_the_rays_of_their_corners():
    camera = Camera(1280, 800, np.array([[810.0, 0.0, 639.5], [0.0, 810.0, 399.5], [0.0, 0.0, 1.0]]))
    small = scaled(camera, 320, 200)
    corner = camera.rays(np.array([[-0.5, -0.5], [1279.5, 799.5]]))
    np.testing.assert_allclose(small.rays(np.array([[-0.5, -0.5], [319.5, 199.5]])), corner, atol=1e-9)


def test_stamps_are_whole_microseconds():
    stamp = to_stamp(sum([0.002] * 1635))  # 3.27 s, but for rounding
    assert (stamp.secs, stamp.nsecs) == (3, 270_000_000)


class TestInbox:
    def test_calls_run_in_the_owners_thread_in_order(self):
        inbox, ran = Inbox(patience=10.0), []
        for number in range(3):
            inbox.post(lambda n: ran.append((n, threading.current_thread())), number)
        assert ran == []
        inbox.run()
        assert ran == [(number, threading.current_thread()) for number in range(3)]

    def test_ask_returns_the_answer_and_raises_the_error(self):
        inbox, done, answers = Inbox(patience=10.0), threading.Event(), []

        def client():
            answers.append(inbox.ask(lambda x: 2 * x, 21))
            try:
                inbox.ask(int, "x")
            except ValueError as error:
                answers.append(str(error))
            done.set()

        threading.Thread(target=client, daemon=True).start()
        for _ in range(10_000):
            inbox.run()
            if done.wait(0.001):
                break
        assert answers[0] == 42
        assert "invalid literal" in answers[1]

    def test_ask_gives_up_on_an_owner_that_never_comes_and_the_call_is_not_made_later(self):
        inbox, ran = Inbox(patience=0.05), []
        with pytest.raises(TimeoutError, match="did not answer"):
            inbox.ask(ran.append, 1)
        inbox.run()
        assert ran == []
