"""The trial protocol's workcell on the simulator, in one process and one thread (paper, section III.A).

    workcell = create_workcell("gripper", seed=7, objects=catalogue("train")[:10], sampler=RandomSampler(...))
    trial = run_trial(workcell, "left")
    workcell.close()

Pictures are BGR arrays. The same arguments give the same trials, bit for bit, whatever the process did before.
"""

import contextlib
import dataclasses
from typing import Dict, List, Literal, Optional, Sequence

import numpy as np

from grasp_learning.config import ConfigError, Settings
from grasp_learning.execution.faults import StepError
from grasp_learning.geometry import Camera
from grasp_learning.regions import sample_region
from grasp_learning.sampling import GraspSampler
from grasp_learning.sim.objects import ObjectSpec
from grasp_learning.sim.robots import WholeBaxter
from grasp_learning.sim.world import SimulationDiverged
from grasp_learning.simulation.carrier import HandCarrier
from grasp_learning.simulation.floating import FloatingRig
from grasp_learning.simulation.full_arm import FullArmRig
from grasp_learning.simulation.rig import Rig, RigSettings
from grasp_learning.simulation.scene import SceneSettings, SimScene
from grasp_learning.trial import ARMS, Grasp, Outcome, PickReading, Region, Step, Workcell

KINDS = ("gripper", "arm")

# Streams of random numbers
_REGION, _GRASP, _PUT_BACK, _PLANNER = range(4)

REST_SPEED = 0.02  # m/s: slower objects do not change the Kinect's picture
REST_TIME = 2.0  # s, at most


class WorkcellSettings(Settings):
    """Everything about a simulated workcell but its seed and objects.

    Attributes:
        pictures: "approach" gives each trial its approach picture; "all" also the Kinect's, and those before and
            after the lift. What happens is the same.
    """

    pictures: Literal["approach", "all"] = "approach"
    scene: SceneSettings = SceneSettings()
    rig: RigSettings = RigSettings()


class InProcessWorkcell(Workcell):
    """A table with objects, its cameras and a robot, ready for trials. Belongs to the thread that makes it.

    Args:
        seed: of all draws that are not the scene's.

    Attributes:
        scene: the table.
        rig: the robot.
        wrist_camera, T_base_camera: intrinsics and pose (4, 4) of the wrist camera at the last approach picture.
    """

    def __init__(self, scene: SimScene, sampler: GraspSampler, settings: WorkcellSettings, seed: int, kind: str):
        self.scene, self.settings = scene, settings
        self._sampler, self._seed = sampler, seed
        self._draws: Dict[str, int] = {}
        self._put_backs = 0
        self.rig = self._make_rig(kind)
        self.wrist_camera: Camera = scene.wrist_camera(self.rig.hand_of(ARMS[0]))
        self.T_base_camera = np.eye(4)

    def _make_rig(self, kind: str) -> Rig:
        world, settings = self.scene.world, self.settings.rig
        if kind == "gripper":
            return FloatingRig(world, settings, self._lift_picture)
        seed = int(np.random.SeedSequence([self._seed, _PLANNER]).generate_state(1)[0])
        return FullArmRig(world, settings, self._lift_picture, seed, self.settings.scene.regions.arm_margin)

    def prepare(self) -> None:
        """Calibrate the grippers, learn the empty table, lay the objects out.

        Raises:
            SceneError, SimulationDiverged: the objects do not stay on the table.
        """
        for side in self.scene.world.robot.sides:
            self.rig.gripper(side).calibrate()
            self.rig.gripper(side).open()
        self.scene.learn_background(self.rig.sleep)
        self.scene.scatter()

    def close(self) -> None:
        """Free what the graphics driver holds; no trial is possible afterwards."""
        self.scene.close()

    # --- the protocol -------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Simulated time (s)."""
        return self.scene.world.time

    def put_back_objects(self) -> List[str]:
        """Put objects that left the table, or that are stuck in an open gripper, back onto it."""
        rng = np.random.default_rng([self._seed, _PUT_BACK, self._put_backs])
        self._put_backs += 1
        return self.scene.world.put_back(rng, also=self.rig.stuck_objects())

    def sample_region(self, arm: str) -> "Step[Region]":
        """A random region of the Kinect's picture that the arm can reach."""
        try:
            self._wait_for_rest()
        except SimulationDiverged as error:
            return _lost(error)
        picture, depth = self.scene.table_picture()
        regions = self.scene.find_regions(picture, depth, self.rig.arms_mask(self.scene.kinect))
        step = sample_region(regions, arm, self._generator(_REGION, arm))
        images = {"kinect_image": self.scene.full_kinect_picture(picture)} if self._wants_all else {}
        return dataclasses.replace(step, images=images)

    def approach(self, region: Region) -> "Step[None]":
        """Bring the open gripper 25 cm above the region."""
        try:
            self.rig.sequence(region.arm).approach(region)
            self.rig.wait_until_fingers_rest(region.arm)
        except StepError as error:
            return Step(error.outcome, str(error))
        except SimulationDiverged as error:
            return _lost(error)
        return Step(Outcome.SUCCESS)

    def sample_grasp(self, region: Region) -> "Step[Grasp]":
        """Take the approach picture and let the sampler choose."""
        side, table = self.rig.hand_of(region.arm), self.scene.world.table
        picture = self.scene.wrist_picture(side)
        self.T_base_camera = self.scene.wrist_pose(side)
        self.wrist_camera = self.scene.wrist_camera(side)
        rng = self._generator(_GRASP, region.arm)
        step = self._sampler.sample(picture, region, self.wrist_camera, self.T_base_camera, table.z, rng)
        grasp = None if step.value is None else dataclasses.replace(step.value, stamp=self.now())
        return dataclasses.replace(step, value=grasp, images={**step.images, "approach_image": picture})

    def pick(self, grasp: Grasp) -> "Step[PickReading]":
        """Grasp, lift, read, put back; see PickSequence."""
        try:
            report = self.rig.sequence(grasp.arm).pick(grasp)
        except StepError as error:
            return Step(error.outcome, str(error))
        except SimulationDiverged as error:
            return _lost(error)
        images = {f"{name}_image": picture for name, picture in report.images.items() if picture is not None}
        return Step(report.outcome, report.message, report.reading, images)

    # --- parts --------------------------------------------------------------------------------------------------

    @property
    def _wants_all(self) -> bool:
        return self.settings.pictures == "all"

    def _lift_picture(self, arm: str) -> Optional[np.ndarray]:
        return self.scene.wrist_picture(self.rig.hand_of(arm)) if self._wants_all else None

    def _wait_for_rest(self) -> None:
        """Let objects come to rest that were let go of: while an arm travels, they have the time."""
        for _ in range(int(REST_TIME / self.rig.period)):
            if self.scene.world.fastest_object() < REST_SPEED:
                return
            self.rig.tick()

    def _generator(self, stream: int, arm: str) -> np.random.Generator:
        """The generator of an arm's next draw of a kind; it depends on nothing that the other arm does."""
        key = f"{stream} {arm}"
        number = self._draws.get(key, 0)
        self._draws[key] = number + 1
        return np.random.default_rng([self._seed, stream, ARMS.index(arm), number])


def create_workcell(
    kind: str,
    seed: int,
    objects: Sequence[ObjectSpec],
    sampler: GraspSampler,
    settings: Optional[WorkcellSettings] = None,
    scene_seed: Optional[int] = None,
) -> InProcessWorkcell:
    """A workcell with its objects on the table.

    Args:
        kind: "gripper" is the hand alone, carried without an arm; "arm" is the whole Baxter with planned motions.
        seed: of everything that is drawn.
        objects: what lies on the table.
        sampler: chooses grasps in approach pictures.
        scene_seed: of the light, the objects' places and the cameras' noise; None is the seed.

    Raises:
        ConfigError: unknown kind.
        SceneError: the objects do not stay on the table.
        RenderingError: pictures cannot be made on this machine.
    """
    if kind not in KINDS:
        raise ConfigError(f"workcell '{kind}' is unknown; choose from {', '.join(KINDS)}")
    settings = settings or WorkcellSettings()
    robot = HandCarrier() if kind == "gripper" else WholeBaxter()
    scene = SimScene(seed if scene_seed is None else scene_seed, objects, settings.scene, robot)
    with contextlib.ExitStack() as unless_ready:
        unless_ready.callback(scene.close)
        workcell = InProcessWorkcell(scene, sampler, settings, seed, kind)
        workcell.prepare()
        unless_ready.pop_all()
    return workcell


def _lost(error: SimulationDiverged) -> Step:
    return Step(Outcome.ROBOT_FAULT, f"the simulation diverged: {error}")
