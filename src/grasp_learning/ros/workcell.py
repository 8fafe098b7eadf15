"""The workcell over ROS: each step of the trial protocol is a service call or an action goal with a deadline."""

import time
from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Tuple

import rospy
from pydantic import Field
from std_srvs.srv import Trigger

from grasp_learning.config import Settings
from grasp_learning.msg import ApproachAction, ApproachGoal, PickAction, PickGoal
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import ActionCaller, CallFailed, NoAnswer, call_service
from grasp_learning.srv import (
    PutBackObjects,
    PutBackObjectsRequest,
    QueryObjects,
    QueryObjectsRequest,
    RecordTrial,
    RecordTrialRequest,
    SampleGrasp,
    SampleGraspRequest,
    SampleRegion,
    SampleRegionRequest,
    SampleRegionResponse,
)
from grasp_learning.trial import (
    Grasp,
    Outcome,
    PickReading,
    PlaceOutcome,
    Prior,
    Region,
    Step,
    Trial,
    Workcell,
)


class Deadlines(Settings):
    """How long the collector waits for each step.

    Attributes:
        sample: for a region or a grasp (s, wall clock).
        approach: for an approach (s, robot's time).
        pick: for a pick, from the pre-grasp to the cleared table, a bin included (s, robot's time).
        motion_wall: backstop for both of these (s, wall clock).
        record: for writing a trial to disk (s, wall clock).
        simulator: for a service of the simulator (s, wall clock).
        background: for learning the empty table (s, wall clock).
        start: for starting an arm: motors, gripper, neutral (s, wall clock).
    """

    sample: float = Field(20.0, gt=0)
    approach: float = Field(45.0, gt=0)
    pick: float = Field(120.0, gt=0)
    motion_wall: float = Field(240.0, gt=0)
    record: float = Field(30.0, gt=0)
    simulator: float = Field(90.0, gt=0)
    background: float = Field(150.0, gt=0)
    start: float = Field(120.0, gt=0)


class RosWorkcell(Workcell):
    """Steps of a trial as calls to the nodes of this package.

    Services and actions called (relative names; launch files remap): ``roi_sampler/sample``,
    ``grasp_sampler/sample``, ``<arm>/arm_executor/approach``, ``<arm>/arm_executor/pick``,
    ``trial_recorder/record``, ``<arm>/arm_executor/start`` where a person attends, and of the simulator, where there is
    one, ``<simulator>/put_back_objects``, ``<simulator>/bring_within_reach`` and ``<simulator>/objects``.

    Args:
        arms: the arms that are used.
        simulator: name of the simulator's node; empty on a real robot.
        place_held: put what is held into the arm's bin.

    Attributes:
        draws: whether the grasp in a region is to be drawn in mode "best", too.
        halted: no arm may move: goals under way are cancelled, and none is sent.
    """

    def __init__(self, arms: Tuple[str, ...], simulator: str, deadlines: Deadlines, place_held: bool = False):
        self._simulator, self._place_held = simulator, place_held
        self.draws: Callable[[Region], bool] = lambda region: False
        self.halted = False
        self._deadlines = deadlines
        self._approach = {arm: ActionCaller(f"{arm}/arm_executor/approach", ApproachAction) for arm in arms}
        self._pick = {arm: ActionCaller(f"{arm}/arm_executor/pick", PickAction) for arm in arms}

    def now(self) -> float:
        """ROS time (s)."""
        return rospy.get_time()

    def put_back_objects(self) -> List[str]:
        """Ask the simulator to put back what left the table; nobody does so on a real robot."""
        return self._moved_objects("put_back_objects")

    def bring_within_reach(self) -> List[str]:
        """Ask the simulator to bring objects that no arm reaches back into reach; their names."""
        return self._moved_objects("bring_within_reach")

    def _moved_objects(self, service: str) -> List[str]:
        if not self._simulator:
            return []
        name, request = f"{self._simulator}/{service}", PutBackObjectsRequest()
        try:
            response = call_service(name, PutBackObjects, request, self._deadlines.simulator)
        except CallFailed as error:
            # the trial goes on with the objects that are there; a dead simulator shows in the next step
            rospy.logwarn("%s", error)
            return []
        return list(response.names)

    def whereabouts(self) -> Optional[Dict[str, str]]:
        """Where the simulator's objects are (see grasp_learning.bins); None where nobody knows."""
        if not self._simulator:
            return None
        try:
            answer = call_service(
                f"{self._simulator}/objects", QueryObjects, QueryObjectsRequest(), self._deadlines.simulator
            )
        except CallFailed as error:
            rospy.logwarn("where the objects are is not known: %s", error)
            return None
        return dict(zip(answer.names, answer.places))

    def sample_region(self, arm: str) -> "Step[Region]":
        """A random region from the Kinect's picture."""
        pictures = {"kinect_image": "image", "kinect_info": "camera_info"}
        request = SampleRegionRequest(arm=arm)
        return self._sampled("roi_sampler/sample", SampleRegion, request, pictures, arm)

    def sample_grasp(self, region: Region) -> "Step[Grasp]":
        """A grasp from the wrist picture."""
        pictures = {"approach_image": "image", "wrist_info": "camera_info"}
        request = SampleGraspRequest(region=conversions.region_to_msg(region), draw=self.draws(region))
        return self._sampled("grasp_sampler/sample", SampleGrasp, request, pictures, region.arm)

    def _sampled(self, service: str, service_class, request, pictures: Dict[str, str], arm: str) -> Step:
        """Ask a sampler; whatever goes wrong with it is a SENSOR_FAULT."""
        try:
            answer = call_service(service, service_class, request, self._deadlines.sample)
        except CallFailed as error:
            return Step(_call_outcome(Outcome.SENSOR_FAULT), str(error))
        images = {name: getattr(answer, field) for name, field in pictures.items()}
        step = _typed(f"service {service}", answer, Outcome.SENSOR_FAULT, images)
        if step.outcome is not Outcome.SUCCESS:
            return step
        try:
            value, prior = _chosen(answer)
        except conversions.ConversionError as error:
            return Step(Outcome.SENSOR_FAULT, f"service {service} answered with {error}")
        if value.arm != arm:
            return Step(Outcome.SENSOR_FAULT, f"service {service} answered for the arm '{value.arm}', not '{arm}'")
        return Step(step.outcome, step.message, value, images, prior)

    def approach(self, region: Region) -> "Step[None]":
        """Bring the arm over the region."""
        goal = ApproachGoal(region=conversions.region_to_msg(region))
        return self._moved(self._approach[region.arm], goal, self._deadlines.approach)[0]

    def pick(self, grasp: Grasp) -> "Step[PickReading]":
        """Pick, read the gripper, put the object back or into the bin."""
        goal = PickGoal(grasp=conversions.grasp_to_msg(grasp), place=self._place_held)
        step, result = self._moved(self._pick[grasp.arm], goal, self._deadlines.pick)
        if result is None:
            return step
        images = {"before_lift_image": result.before_lift_image, "after_lift_image": result.after_lift_image}
        reading = conversions.reading_from_result(result) if step.outcome.is_label else None
        placing, fault = conversions.placing_from_msg(result), step.fault
        if placing is not None and placing.outcome is PlaceOutcome.ROBOT_FAULT:
            fault = fault or placing.message
        return Step(step.outcome, step.message, reading, images, placing=placing, fault=fault)

    def _moved(self, caller: ActionCaller, goal, deadline: float) -> Tuple[Step, Any]:
        """Send an arm a goal; its step and its result, None where there is none."""
        if self.halted:
            return Step(Outcome.ABORTED, "the robot stands still until a person has seen to it"), None
        try:
            result = caller.call(goal, deadline, self._deadlines.motion_wall, lambda: self.halted)
        except CallFailed as error:
            return Step(_call_outcome(Outcome.ROBOT_FAULT), str(error)), None
        step = _typed(f"action {caller.name}", result, Outcome.ROBOT_FAULT, {}, caller.last_status)
        return replace(step, fault=result.fault), result

    def record(self, trial: Trial) -> int:
        """Have the trial written to disk.

        A recorder that does not answer in time may still be writing, so it is asked once more: it answers a trial
        that it knows with the number that it gave it.

        Returns:
            Its number; 0 for an attempt without a label, which is counted but gets no bag.

        Raises:
            CallFailed: the recorder did not answer or could not write; nothing was reported as recorded.
        """
        images: Dict = {name: image for name, image in trial.images.items() if image is not None}
        prior = conversions.prior_to_msg(trial.prior, trial.grasp.stamp if trial.grasp else trial.end)
        request = RecordTrialRequest(trial=conversions.trial_to_msg(trial), prior=prior, **images)
        try:
            answer = call_service("trial_recorder/record", RecordTrial, request, self._deadlines.record)
        except NoAnswer as error:
            rospy.logwarn("%s; it is asked again", error)
            answer = call_service("trial_recorder/record", RecordTrial, request, self._deadlines.record)
        if not answer.success:
            raise CallFailed(f"trial_recorder could not write the trial: {answer.message}")
        return answer.number

    def trigger(self, service: str, timeout: Optional[float] = None) -> str:
        """Call a std_srvs/Trigger service; its message.

        Raises:
            CallFailed: it did not answer, or answered that it failed.
        """
        answer = call_service(service, Trigger, Trigger._request_class(), timeout or self._deadlines.simulator)
        if not answer.success:
            raise CallFailed(f"service {service}: {answer.message}")
        return answer.message

    def start_arm(self, arm: str) -> None:
        """Let an arm move, at first or after a fault: a person has allowed it.

        Raises:
            CallFailed: it did not come to rest at neutral, ready for goals.
        """
        self.trigger(f"{arm}/arm_executor/start", self._deadlines.start)

    def wait_for_arms(self, timeout: float) -> None:
        """Wait until the executors of all arms accept goals (their arms are enabled and at rest by then).

        Raises:
            CallFailed: they did not all come up within timeout s (wall clock).
        """
        end = time.monotonic() + timeout
        for caller in [*self._approach.values(), *self._pick.values()]:
            caller.wait_for_server(max(0.1, end - time.monotonic()))

    def cancel(self) -> None:
        """End what the arms are doing."""
        for caller in [*self._approach.values(), *self._pick.values()]:
            caller.cancel()


def _chosen(answer) -> Tuple[Any, Optional[Prior]]:
    """Region, or grasp and its prior, of a sampler's answer.

    Raises:
        ConversionError: the prior's parts do not belong together.
    """
    if isinstance(answer, SampleRegionResponse):
        return conversions.region_from_msg(answer.region), None
    return conversions.grasp_from_msg(answer.grasp), conversions.prior_from_msg(answer.prior)


def _call_outcome(otherwise: Outcome) -> Outcome:
    return Outcome.ABORTED if rospy.is_shutdown() else otherwise


def _typed(source: str, answer, fault: Outcome, images: Dict[str, Any], status: str = "") -> Step:
    """The outcome that a node gave as text, as a step without a value.

    A node whose code failed answers with an empty outcome: that is a fault of the given kind.

    Args:
        status: what the server said besides, for a person.
    """
    try:
        return Step(Outcome(answer.outcome), answer.message, images=images)
    except ValueError:
        said = answer.message or status or "nothing more; see the log of its node"
        return Step(fault, f"{source} ended with the unknown outcome {answer.outcome!r} and said: {said}")
