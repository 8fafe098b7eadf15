"""The workcell over ROS: each step of the trial protocol is a service call or an action goal with a deadline."""

from typing import Dict, List, Optional, Tuple

import rospy
from pydantic import Field
from std_srvs.srv import Trigger

from grasp_learning.config import Settings
from grasp_learning.msg import ApproachAction, ApproachGoal, PickAction, PickGoal
from grasp_learning.ros import conversions
from grasp_learning.ros.calls import ActionCaller, CallFailed, call_service
from grasp_learning.srv import (
    PutBackObjects,
    PutBackObjectsRequest,
    RecordTrial,
    RecordTrialRequest,
    SampleGrasp,
    SampleGraspRequest,
    SampleRegion,
    SampleRegionRequest,
)
from grasp_learning.trial import Grasp, Outcome, PickReading, Region, Step, Trial, Workcell


class Deadlines(Settings):
    """How long the collector waits for each step.

    Attributes:
        sample: for a region or a grasp (s, wall clock).
        approach: for an approach (s, robot's time).
        pick: for a pick, from the pre-grasp to the cleared table (s, robot's time).
        motion_wall: backstop for both of these (s, wall clock).
        record: for writing a trial to disk (s, wall clock).
        simulator: for a service of the simulator (s, wall clock).
    """

    sample: float = Field(20.0, gt=0)
    approach: float = Field(45.0, gt=0)
    pick: float = Field(120.0, gt=0)
    motion_wall: float = Field(240.0, gt=0)
    record: float = Field(30.0, gt=0)
    simulator: float = Field(60.0, gt=0)


class RosWorkcell(Workcell):
    """Steps of a trial as calls to the nodes of this package.

    Services and actions called (relative names; launch files remap): ``roi_sampler/sample``,
    ``grasp_sampler/sample``, ``<arm>/arm_executor/approach``, ``<arm>/arm_executor/pick``,
    ``trial_recorder/record``, and of the simulator, where there is one, ``<simulator>/put_back_objects``.

    Args:
        arms: the arms that are used.
        simulator: name of the simulator's node; empty on a real robot.
    """

    def __init__(self, arms: Tuple[str, ...], simulator: str, deadlines: Deadlines):
        self._simulator = simulator
        self._deadlines = deadlines
        self._approach = {arm: ActionCaller(f"{arm}/arm_executor/approach", ApproachAction) for arm in arms}
        self._pick = {arm: ActionCaller(f"{arm}/arm_executor/pick", PickAction) for arm in arms}

    def now(self) -> float:
        """ROS time (s)."""
        return rospy.get_time()

    def put_back_objects(self) -> List[str]:
        """Ask the simulator to put back what left the table; nobody does so on a real robot."""
        if not self._simulator:
            return []
        try:
            response = call_service(
                f"{self._simulator}/put_back_objects",
                PutBackObjects,
                PutBackObjectsRequest(),
                self._deadlines.simulator,
            )
        except CallFailed as error:
            # the trial goes on with the objects that are there; a dead simulator shows in the next step
            rospy.logwarn("%s", error)
            return []
        return list(response.names)

    def sample_region(self, arm: str) -> "Step[Region]":
        """A random region from the Kinect's picture."""
        try:
            answer = call_service(
                "roi_sampler/sample", SampleRegion, SampleRegionRequest(arm=arm), self._deadlines.sample
            )
        except CallFailed as error:
            return Step(_call_outcome(Outcome.SENSOR_FAULT), str(error))
        images = {"kinect_image": answer.image, "kinect_info": answer.camera_info}
        outcome = Outcome(answer.outcome)
        region = conversions.region_from_msg(answer.region) if outcome is Outcome.SUCCESS else None
        return Step(outcome, answer.message, region, images)

    def approach(self, region: Region) -> "Step[None]":
        """Bring the arm over the region."""
        goal = ApproachGoal(region=conversions.region_to_msg(region))
        try:
            result = self._approach[region.arm].call(goal, self._deadlines.approach, self._deadlines.motion_wall)
        except CallFailed as error:
            return Step(_call_outcome(Outcome.ROBOT_FAULT), str(error))
        return Step(Outcome(result.outcome), result.message)

    def sample_grasp(self, region: Region) -> "Step[Grasp]":
        """A grasp from the wrist picture."""
        request = SampleGraspRequest(region=conversions.region_to_msg(region))
        try:
            answer = call_service("grasp_sampler/sample", SampleGrasp, request, self._deadlines.sample)
        except CallFailed as error:
            return Step(_call_outcome(Outcome.SENSOR_FAULT), str(error))
        images = {"approach_image": answer.image, "wrist_info": answer.camera_info}
        outcome = Outcome(answer.outcome)
        grasp = conversions.grasp_from_msg(answer.grasp) if outcome is Outcome.SUCCESS else None
        return Step(outcome, answer.message, grasp, images)

    def pick(self, grasp: Grasp) -> "Step[PickReading]":
        """Pick, read the gripper, put the object back."""
        goal = PickGoal(grasp=conversions.grasp_to_msg(grasp))
        try:
            result = self._pick[grasp.arm].call(goal, self._deadlines.pick, self._deadlines.motion_wall)
        except CallFailed as error:
            return Step(_call_outcome(Outcome.ROBOT_FAULT), str(error))
        images = {"before_lift_image": result.before_lift_image, "after_lift_image": result.after_lift_image}
        outcome = Outcome(result.outcome)
        return Step(
            outcome, result.message, conversions.reading_from_result(result) if outcome.is_label else None, images
        )

    def record(self, trial: Trial) -> int:
        """Have the trial written to disk.

        Returns:
            Its number; 0 for an attempt without a label, which is counted but gets no bag.

        Raises:
            CallFailed: the recorder did not answer or could not write; nothing was reported as recorded.
        """
        images: Dict = {name: image for name, image in trial.images.items() if image is not None}
        request = RecordTrialRequest(trial=conversions.trial_to_msg(trial), **images)
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

    def wait_for_arms(self, timeout: float) -> None:
        """Wait until the executors of all arms accept goals (their arms are enabled and at rest by then).

        Raises:
            CallFailed: an executor did not come up within timeout s (wall clock).
        """
        for caller in list(self._approach.values()) + list(self._pick.values()):
            caller.wait_for_server(timeout)

    def cancel(self) -> None:
        """End what the arms are doing."""
        for caller in list(self._approach.values()) + list(self._pick.values()):
            caller.cancel()


def _call_outcome(otherwise: Outcome) -> Outcome:
    return Outcome.ABORTED if rospy.is_shutdown() else otherwise
