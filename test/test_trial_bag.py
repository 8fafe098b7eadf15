"""A trial's bag is read by rosbag's own tools and by the rosbags library, and holds what was put in."""

import io
import subprocess

import cv2
import numpy as np
import pytest
import rosbag
from bag_samples import camera_info, compressed, joint_state, picture, robot_entries, trial_message
from rosbags.highlevel import AnyReader

from grasp_learning.bags import BagError, read_picture
from grasp_learning.ros.trial_bag import COMPRESSIONS, Channel, Entry, bag_bytes, entry_of

APPROACH = "/cameras/left_hand_camera/approach/compressed"
SECONDS = 2


@pytest.fixture(scope="module")
def entries():
    rng = np.random.default_rng(0)
    entries = [entry_of("trial", 12 * 10**9, trial_message(10.0, 12.0))]
    entries += robot_entries(10.0, 10.0 + SECONDS, "left", rng)
    entries.append(entry_of(APPROACH, 11 * 10**9, compressed(picture(1280, 800, rng), 11.0)))
    entries.append(entry_of("/cameras/left_hand_camera/camera_info", 11 * 10**9, camera_info(1280, 800, 11.0)))
    return entries


@pytest.fixture(scope="module", params=COMPRESSIONS)
def bag(request, entries, tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / f"{request.param}.bag"
    path.write_bytes(bag_bytes(entries, request.param))
    return path


def test_messages_come_back_as_they_were_and_in_order(bag, entries):
    with rosbag.Bag(str(bag)) as opened:
        read = [(topic, stamp.to_nsec(), message) for topic, message, stamp in opened.read_messages()]
    assert [stamp for _, stamp, _ in read] == sorted(entry.stamp for entry in entries)
    written = sorted((entry.channel.topic, entry.stamp, entry.data) for entry in entries)
    assert sorted((topic, stamp, serialised(message)) for topic, stamp, message in read) == written


def serialised(message):
    buffer = io.BytesIO()
    message.serialize(buffer)
    return buffer.getvalue()


def test_rosbag_info_lists_every_topic(bag, entries):
    done = subprocess.run(["rosbag", "info", str(bag)], capture_output=True, text=True, timeout=60, check=True)
    words = [line.replace("topics:", "").split() for line in done.stdout.splitlines()]
    listed = {line[0]: int(line[1]) for line in words if len(line) > 2 and line[2].startswith("msg")}
    topics = [entry.channel.topic for entry in entries]
    assert listed == {topic: topics.count(topic) for topic in topics}
    assert "grasp_learning/Trial" in done.stdout and "baxter_core_msgs/EndpointState" in done.stdout


def test_rosbag_check_finds_nothing_to_migrate(bag):
    done = subprocess.run(["rosbag", "check", str(bag)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not need any migrations" in done.stdout


def test_the_rosbags_library_reads_it_with_the_types_in_the_bag(bag):
    with AnyReader([bag]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
        assert counts["/robot/joint_states"] == counts["/robot/limb/left/endpoint_state"] == 100 * SECONDS + 1
        messages = {
            connection.topic: reader.deserialize(raw, connection.msgtype) for connection, _, raw in reader.messages()
        }
    trial = messages["trial"]
    assert (trial.arm, trial.outcome, trial.force, trial.grasp.bin) == ("left", "SUCCESS", 31.5, 6)
    assert np.isnan(trial.grasp.score) and trial.truth_object == "mug_03"
    assert messages["/robot/end_effector/left_gripper/state"].id == 65538
    assert len(messages["/robot/joint_states"].position) == 19
    assert cv2.imdecode(messages[APPROACH].data, cv2.IMREAD_COLOR).shape == (800, 1280, 3)


def test_a_picture_is_read_without_ros(bag):
    assert read_picture(bag, APPROACH).shape == (800, 1280, 3)
    with pytest.raises(BagError, match=f"{bag.name}: holds no message on /elsewhere"):
        read_picture(bag, "/elsewhere")


@pytest.mark.parametrize("content", [b"", b"no bag at all", None])
def test_what_is_no_whole_bag_is_told(tmp_path, entries, content):
    path = tmp_path / "broken.bag"
    path.write_bytes(bag_bytes(entries)[:100_000] if content is None else content)
    with pytest.raises(BagError, match="broken.bag"):
        read_picture(path, APPROACH)


def test_a_picture_that_does_not_decode_is_told(tmp_path):
    message = compressed(np.zeros((4, 4, 3), np.uint8), 1.0)
    message.data = b"\x00" * 50
    path = tmp_path / "black.bag"
    path.write_bytes(bag_bytes([entry_of(APPROACH, 10**9, message)]))
    with pytest.raises(BagError, match="no picture that OpenCV can decode"):
        read_picture(path, APPROACH)


def test_a_type_that_is_not_installed_is_recorded_from_its_publishers_word(tmp_path):
    header = {"type": "acme_msgs/Gauge", "md5sum": "0" * 32, "message_definition": "float64 value\n"}
    entry = Entry(Channel.of_connection("/gauge", header), 5 * 10**9, np.float64(2.5).tobytes())
    known = entry_of("/robot/joint_states", 4 * 10**9, joint_state(4.0, np.random.default_rng(0)))
    path = tmp_path / "acme.bag"
    path.write_bytes(bag_bytes([entry, known]))
    with rosbag.Bag(str(path)) as opened:
        ((_, message, stamp),) = opened.read_messages("/gauge")
    assert (message.value, message._type, stamp.to_sec()) == (2.5, "acme_msgs/Gauge", 5.0)
