"""The node that writes trials to disk: what the robot said during a trial, its pictures, and its result.

Services:
    ~record (grasp_learning/RecordTrial): write a labelled trial as a bag and a line of trials.jsonl, or count an
        attempt without a label in faults.jsonl. Answers after everything is synced; number 0 for an attempt.
        A trial that was written already (same arm and start) is answered as before and not written again.
Subscribes:
    robot/joint_states, robot/limb/<arm>/endpoint_state, robot/end_effector/<arm>_gripper/state (any type: the
        messages are kept as they came, for ~buffer_seconds).
Parameters:
    ~data (str): folder of the collection, created or resumed. ~robot (str). ~arms (str, 'both'): 'both', 'left' or
    'right'. ~mode (str, 'random'). ~stage (int, 0). ~seed (int, 0). ~planner (str). ~model (str): model file of a
    guided collection, else empty; each label then needs a grasp that was chosen with it. ~calibration (str):
    calibration file, whose contents are kept with the data. ~objects (str): split of the simulated objects.
    All keys of config/trial_recorder.yaml.

A folder that cannot be used ends the node with one line on stderr and exit code 1.
"""

import struct
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import roslib.message
import rospy
from pydantic import Field, field_validator

import grasp_learning
from grasp_learning.calibration import load_calibration
from grasp_learning.config import ConfigError, Settings, parse_settings
from grasp_learning.message_buffer import SECOND, MessageBuffer
from grasp_learning.ros.conversions import ConversionError, prior_from_msg, trial_from_msg
from grasp_learning.ros.trial_bag import COMPRESSIONS, Channel, Entry, bag_bytes, entry_of
from grasp_learning.srv import RecordTrial, RecordTrialRequest, RecordTrialResponse
from grasp_learning.storage import (
    Collection,
    CollectionError,
    CollectionInfo,
    fault_record,
    file_sha256,
    trial_record,
)
from grasp_learning.trial import ARMS, Trial

JOINT_STATES = "robot/joint_states"
ARM_TOPICS = ("robot/limb/{arm}/endpoint_state", "robot/end_effector/{arm}_gripper/state")
# fields of RecordTrial and the topics under which a bag holds them
IMAGES = {
    "kinect_image": "/kinect2/hd/image_color/compressed",
    "approach_image": "/cameras/{arm}_hand_camera/approach/compressed",
    "before_lift_image": "/cameras/{arm}_hand_camera/before_lift/compressed",
    "after_lift_image": "/cameras/{arm}_hand_camera/after_lift/compressed",
}
INFOS = {"kinect_info": "/kinect2/hd/camera_info", "wrist_info": "/cameras/{arm}_hand_camera/camera_info"}
TRIAL_TOPIC = "trial"
PRIOR_TOPIC = "prior"
LATEST = 1.0  # s of wall clock by which a message may come later than the end of its trial


class TrialRecorderSettings(Settings):
    """Parameters of the node; see config/trial_recorder.yaml."""

    data: str = Field(min_length=1)
    robot: str = Field(min_length=1)
    arms: str = "both"
    mode: str = "random"
    stage: int = Field(0, ge=0)
    seed: int = Field(0, ge=0)
    planner: str = ""
    model: str = ""
    calibration: str = ""
    objects: str = ""
    minimum_free_gb: float = Field(1.0, ge=0)
    buffer_seconds: float = Field(180.0, gt=0)
    buffer_mb: float = Field(64.0, gt=0)
    largest_gap: float = Field(0.5, gt=0)
    compression: str = "lz4"

    @field_validator("arms")
    @classmethod
    def _known_arms(cls, value: str) -> str:
        if value not in ("both", *ARMS):
            raise ValueError("expected 'both', 'left' or 'right'")
        return value

    @field_validator("compression")
    @classmethod
    def _known_compression(cls, value: str) -> str:
        if value not in COMPRESSIONS:
            raise ValueError(f"expected one of: {', '.join(COMPRESSIONS)}")
        return value

    @property
    def arm_names(self) -> Tuple[str, ...]:
        """The arms whose trials are recorded."""
        return ARMS if self.arms == "both" else (self.arms,)


def collection_info(settings: TrialRecorderSettings) -> CollectionInfo:
    """What collection.yaml is to say.

    Raises:
        ConfigError: the calibration or the model file cannot be read.
    """
    calibration: Dict = {}
    if settings.calibration:
        calibration = {"file": Path(settings.calibration).name, **load_calibration(settings.calibration).contents()}
    try:
        sha256 = file_sha256(settings.model) if settings.model else ""
    except OSError as error:
        raise ConfigError(f"{settings.model}: the model cannot be read ({error.strerror})") from None
    return CollectionInfo(
        robot=settings.robot,
        arms=list(settings.arm_names),
        mode=settings.mode,
        stage=settings.stage,
        seed=settings.seed,
        planner=settings.planner,
        model=Path(settings.model).name,
        model_sha256=sha256,
        calibration=calibration,
        objects=settings.objects,
        package_version=grasp_learning.__version__,
    )


def stamp_reader(datatype: str) -> Optional[Callable[[bytes], int]]:
    """A function that reads a serialised message's own stamp (ns); None for a type that begins with no stamp.

    Args:
        datatype: for example "sensor_msgs/JointState".
    """
    message_class = roslib.message.get_message_class(datatype)
    if message_class is None or not message_class._slot_types:
        return None
    first = message_class._slot_types[0]
    if first not in ("std_msgs/Header", "time"):
        return None
    # a header begins with its sequence number
    stamp = struct.Struct("<4xII" if first == "std_msgs/Header" else "<II")

    def read(data: bytes) -> int:
        seconds, nanoseconds = stamp.unpack_from(data)
        return seconds * SECOND + nanoseconds

    return read


class Recording:
    """Subscribes to a topic of any type and keeps its last messages as they came.

    A message's time is when it was received, as in every bag: a robot's clock may differ from this machine's. In
    simulation there is one clock for all, which runs faster than this process listens, so there it is the message's
    own stamp, where it has one: Rethink's Gazebo simulation stamps no states of the grippers.
    """

    def __init__(self, name: str, settings: TrialRecorderSettings):
        self.topic = rospy.resolve_name(name)
        self._header: Dict[str, str] = {}
        self._buffer = MessageBuffer(settings.buffer_seconds, int(settings.buffer_mb * 1e6))
        self._largest_gap = settings.largest_gap
        self._simulated = bool(rospy.get_param("/use_sim_time", False))
        self._read_stamp: Optional[Callable[[bytes], int]] = None
        self._subscriber = rospy.Subscriber(name, rospy.AnyMsg, self._keep, tcp_nodelay=True)

    def _keep(self, message: rospy.AnyMsg) -> None:
        if message._connection_header is not self._header:
            self._header = message._connection_header
            self._read_stamp = stamp_reader(self._header["type"]) if self._simulated else None
        stamp = self._read_stamp(message._buff) if self._read_stamp else 0
        self._buffer.add(stamp or rospy.get_rostime().to_nsec(), message._buff)

    def wait_for(self, stamp: int) -> None:
        """Wait until what happened before a time (ns) was received, or for LATEST seconds of wall clock."""
        give_up = time.monotonic() + LATEST
        while self._simulated and self._buffer.newest < stamp and time.monotonic() < give_up:
            time.sleep(0.005)

    def entries(self, start: int, end: int) -> List[Entry]:
        """What came from start to end (ns)."""
        messages = self._buffer.between(start, end)
        if not messages:
            return []
        channel = Channel.of_connection(self.topic, self._header)
        return [Entry(channel, message.stamp, message.data) for message in messages]

    def complaint(self, entries: List[Entry], start: int, end: int) -> str:
        """The longest silence in [start, end] (ns), where it is too long; else empty."""
        stamps = [start, *(entry.stamp for entry in entries), end]
        gap, since = max((after - before, before) for before, after in zip(stamps, stamps[1:]))
        if gap <= self._largest_gap * SECOND:
            return ""
        return f"{self.topic} was silent for {gap / SECOND:.2f} s, {(since - start) / SECOND:.2f} s into the trial"

    def close(self) -> None:
        """Stop listening."""
        self._subscriber.unregister()


class TrialRecorder:
    """Writes each trial that is handed to it, with what the robot said meanwhile."""

    def __init__(self, settings: TrialRecorderSettings):
        """Open the collection and start to listen.

        Raises:
            ConfigError: the calibration or the model file cannot be read.
            CollectionError: the folder cannot be used.
        """
        self._settings = settings
        self._collection = Collection(settings.data, collection_info(settings), int(settings.minimum_free_gb * 1e9))
        for note in self._collection.notes:
            rospy.logwarn("%s: %s", self._collection.folder, note)
        rospy.loginfo("recording into %s, which holds %d trials", self._collection.folder, self._collection.recorded)
        self._joints = Recording(JOINT_STATES, settings)
        self._arms = {
            arm: [Recording(name.format(arm=arm), settings) for name in ARM_TOPICS] for arm in settings.arm_names
        }
        self._writing = {arm: threading.Lock() for arm in settings.arm_names}
        self._written: Dict[str, Tuple[rospy.Time, RecordTrialResponse]] = {}  # of each arm the last trial
        self._service = rospy.Service("~record", RecordTrial, self.record)

    def record(self, request: RecordTrialRequest) -> RecordTrialResponse:
        """Write one trial; every problem is an answer with success false, and leaves the collection as it was."""
        try:
            trial = trial_from_msg(request.trial)
            self._check(trial, request)
            # who got no answer in time asks again, perhaps while the first request is still being written
            with self._writing[trial.arm]:
                return self._record_once(trial, request)
        except (ConversionError, CollectionError) as error:
            rospy.logerr("trial of the %s arm was not recorded: %s", request.trial.arm, error)
            return RecordTrialResponse(success=False, message=str(error))

    def _record_once(self, trial: Trial, request: RecordTrialRequest) -> RecordTrialResponse:
        start, answer = self._written.get(trial.arm, (None, None))
        if start == request.trial.start:
            return answer
        if trial.outcome.is_label:
            answer = self._record_labelled(trial, request)
        else:
            self._collection.add_fault(fault_record(trial))
            answer = RecordTrialResponse(success=True)
        self._written[trial.arm] = (request.trial.start, answer)
        return answer

    def _check(self, trial: Trial, request: RecordTrialRequest) -> None:
        """Raise ConversionError where the request is no trial of this collection."""
        kind = {"arm": self._settings.arm_names, "mode": (self._settings.mode,), "stage": (self._settings.stage,)}
        for key, choices in kind.items():
            value = getattr(trial, key)
            if value not in choices:
                expected = " or ".join(map(repr, choices))
                raise ConversionError(f"the trial's {key} is {value!r}, this collection's is {expected}")
        if trial.end < trial.start:
            raise ConversionError(f"the trial ends at {trial.end} s, before it starts at {trial.start} s")
        if not trial.outcome.is_label:
            return
        if trial.grasp is None or not request.approach_image.data:
            raise ConversionError(f"a {trial.outcome} needs its grasp and the approach picture it was chosen in")
        prior = prior_from_msg(request.prior)
        model = "" if prior is None else prior.model_sha256
        ours = self._collection.info.model_sha256
        if model != ours:
            raise ConversionError(
                f"the grasp was chosen with {_named(model)}, this collection is one with {_named(ours)}; "
                "was the file replaced? Start the collection again"
            )

    def _record_labelled(self, trial: Trial, request: RecordTrialRequest) -> RecordTrialResponse:
        start, end = request.trial.start.to_nsec(), request.trial.end.to_nsec()
        entries, complaints = _request_entries(request, end), []
        for recording in [self._joints, *self._arms[trial.arm]]:
            recording.wait_for(end)
            heard = recording.entries(start, end)
            complaints.append(recording.complaint(heard, start, end))
            entries += heard

        def make_bag(number: int) -> bytes:
            request.trial.number = number
            return bag_bytes([*entries, entry_of(TRIAL_TOPIC, end, request.trial)], self._settings.compression)

        number, path = self._collection.add_trial(trial_record(trial), make_bag)
        message = "; ".join(filter(None, complaints))
        if message:
            rospy.logwarn("trial %d: %s", number, message)
        return RecordTrialResponse(success=True, message=message, number=number, path=str(path))

    def close(self) -> None:
        """Stop listening, finish what is being written, release the folder."""
        self._service.shutdown("the recorder is closing")
        for recording in [self._joints, *(one for arm in self._arms.values() for one in arm)]:
            recording.close()
        self._collection.close()


def _named(model_sha256: str) -> str:
    return f"the model {model_sha256[:12]}..." if model_sha256 else "no model"


def _request_entries(request: RecordTrialRequest, end: int) -> List[Entry]:
    """What a request brings and is not empty: pictures, camera_infos, prior; without a stamp as of the end (ns)."""
    entries = []
    if request.prior.u:
        entries.append(entry_of(PRIOR_TOPIC, request.prior.header.stamp.to_nsec() or end, request.prior))
    for field, name in {**IMAGES, **INFOS}.items():
        message = getattr(request, field)
        empty = not message.data if field in IMAGES else message.width == 0
        if not empty:
            topic = name.format(arm=request.trial.arm)
            entries.append(entry_of(topic, message.header.stamp.to_nsec() or end, message))
    return entries


def main() -> None:
    """Run the node."""
    rospy.init_node("trial_recorder")
    try:
        settings = parse_settings(TrialRecorderSettings, rospy.get_param("~", {}), rospy.get_name())
        recorder = TrialRecorder(settings)
    except (ConfigError, CollectionError) as error:
        rospy.logfatal("%s", error)
        sys.exit(1)
    rospy.on_shutdown(recorder.close)
    rospy.spin()
