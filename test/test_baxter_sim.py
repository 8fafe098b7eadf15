"""What baxter_sim decides without a ROS graph: its settings, and who runs what in which thread."""

import threading
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import yaml

pytest.importorskip("baxter_core_msgs", reason="needs the built workspace")

import rospy

from grasp_learning.config import ConfigError, parse_settings
from grasp_learning.geometry import Camera
from grasp_learning.ros.baxter_sim import BaxterSim, BaxterSimSettings
from grasp_learning.ros.sim_cameras import RenderThread, scaled
from grasp_learning.ros.sim_publisher import to_stamp
from grasp_learning.ros.sim_thread import Inbox
from grasp_learning.sim.gl import RenderingError
from grasp_learning.sim.world import SimulationDiverged

CONFIG = Path(__file__).resolve().parent.parent / "config" / "baxter_sim.yaml"


def test_config_file_states_the_defaults():
    assert parse_settings(BaxterSimSettings, yaml.safe_load(CONFIG.read_text()), str(CONFIG)) == BaxterSimSettings()


@pytest.mark.parametrize("speed", ["max", 2])
def test_the_wall_clock_has_one_speed(speed):
    with pytest.raises(ConfigError, match=f"speed is {speed}: a simulation by the wall clock runs at speed 1"):
        parse_settings(BaxterSimSettings, {"clock": "wall", "speed": speed}, "sim")
    assert parse_settings(BaxterSimSettings, {"clock": "wall", "speed": 1.0}, "sim").clock == "wall"


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
        ("pool", 31, "less than or equal to 30"),
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


class TestRenderThread:
    def start(self, make_renderer, patience=10.0):
        thread = RenderThread([], make_renderer, lambda: None, lambda: 0.0)
        try:
            thread.start(patience)
        finally:
            thread.stop(1.0)

    def test_whatever_keeps_the_first_picture_from_being_drawn_is_a_rendering_error(self):
        def make_renderer():
            raise OSError("no libEGL")

        with pytest.raises(RenderingError, match="OSError: no libEGL"):
            self.start(make_renderer)

    def test_a_renderer_that_hangs_is_a_rendering_error(self):
        released = threading.Event()
        with pytest.raises(RenderingError, match="not drawn within 0.05 s"):
            self.start(lambda: released.wait(10.0), patience=0.05)
        released.set()

    def test_a_picture_that_fails_does_not_end_the_cameras(self, monkeypatch):
        taken, told = threading.Event(), []
        monkeypatch.setattr(rospy, "logerr_throttle", lambda *args: told.append(str(args[-1])))

        class Flaky:
            calls = 0

            def due(self, now):
                return not taken.is_set()

            def take(self, renderer, data):
                self.calls += 1
                if self.calls == 1:
                    raise ValueError("once")
                taken.set()

        thread = RenderThread([Flaky()], MagicMock, lambda: None, lambda: 0.0)
        thread.start(10.0)
        assert taken.wait(10.0)
        thread.stop(1.0)
        assert told == ["ValueError: once"]


class TestRecovery:
    """The node with a robot that diverges; no ROS graph."""

    def node(self, errors):
        node = BaxterSim.__new__(BaxterSim)
        node._robot, node._world = MagicMock(), MagicMock()
        node._robot.update.side_effect = errors
        return node

    def test_objects_that_diverge_are_taken_away_and_the_tick_goes_on(self):
        node = self.node([SimulationDiverged("mug at 1 s", ["mug"]), None])
        node._update()
        node._world.restore.assert_called_once_with(("mug",))
        node._world.reset.assert_not_called()

    def test_a_robot_that_is_lost_ends_the_node(self):
        node = self.node(SimulationDiverged("the robot at 1 s"))
        with pytest.raises(SimulationDiverged):
            node._update()
        assert node._robot.update.call_count == 5

    def test_services_tell_of_a_divergence(self):
        node = self.node(None)
        node._inbox = MagicMock()
        node._inbox.ask.side_effect = SimulationDiverged("the robot at 1 s")
        answer = node._trigger(node._scatter)(None)
        assert (answer.success, answer.message) == (False, "the robot at 1 s")
        with pytest.raises(rospy.ServiceException, match="the robot"):
            node._on_put_back(None)
