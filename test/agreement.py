"""The same scenes and grasps with the whole arm and with the gripper alone: do they give the same labels?"""

from dataclasses import dataclass
from typing import Iterator, List, Tuple

import cv2
import numpy as np

from grasp_learning.geometry import angle_to_bin, wrap_angle
from grasp_learning.sampling import RandomSampler, SamplerSettings
from grasp_learning.sim.objects import catalogue
from grasp_learning.simulation.workcell import InProcessWorkcell, create_workcell
from grasp_learning.trial import ARMS, Grasp, Outcome, Region, Step

CLEARANCE = 0.012  # m: height of a grasp over the table


@dataclass(frozen=True)
class Pair:
    """One grasp, executed by both kinds of workcell.

    Attributes:
        objects: nearest to the grasp, the nearest first.
    """

    grasp: Grasp
    arm: Step
    gripper: Step
    objects: Tuple[str, ...]

    @property
    def is_labelled(self) -> bool:
        return self.arm.outcome.is_label and self.gripper.outcome.is_label

    @property
    def agrees(self) -> bool:
        return self.arm.outcome is self.gripper.outcome


def both_kinds(seed: int, count: int = 10) -> Tuple[InProcessWorkcell, InProcessWorkcell]:
    """The whole arm and the gripper alone before the same table with the same objects."""
    objects = catalogue("train")
    chosen = np.random.default_rng([seed, 11]).choice(len(objects), count, replace=False)
    arm, gripper = (
        create_workcell(kind, seed, [objects[index] for index in chosen], RandomSampler(SamplerSettings()))
        for kind in ("arm", "gripper")
    )
    gripper.scene.world.lay_out(arm.scene.world.layout())
    return arm, gripper


def regions_of(workcell: InProcessWorkcell) -> List[Region]:
    """What an arm can reach of what lies on the table."""
    picture, depth = workcell.scene.table_picture()
    found = workcell.scene.find_regions(picture, depth, workcell.rig.arms_mask(workcell.scene.kinect))
    return [region for region in found if region.arm in ARMS]


def choose(regions: List[Region], rng: np.random.Generator) -> Region:
    """Any region; two times in three one that is as narrow as the gripper opens, so that enough grasps succeed."""
    narrow = [region for region in regions if min(cv2.minAreaRect(region.outline.astype(np.float32))[1]) < 0.07]
    among = narrow if narrow and rng.random() < 2 / 3 else regions
    return among[rng.integers(len(among))]


def grasp_in(region: Region, table_z: float, rng: np.random.Generator) -> Grasp:
    """Across a region at about its middle, as a person would try; one time in three at any angle off it."""
    (x, y), size, turn = cv2.minAreaRect(region.outline.astype(np.float32))
    theta = np.radians(turn if size[0] <= size[1] else turn + 90.0)
    spread, lean = (0.005, 0.1) if rng.random() < 2 / 3 else (0.015, 1.0)
    x, y = np.array([x, y]) + rng.normal(0.0, spread, 2)
    theta = float(wrap_angle(theta + rng.normal(0.0, lean)))
    return Grasp(
        region.arm,
        region.stamp,
        0.0,
        0.0,
        float(x),
        float(y),
        table_z + CLEARANCE,
        theta,
        theta,
        angle_to_bin(theta),
        1,
    )


def pairs(seed: int, count: int) -> Iterator[Pair]:
    """Grasps in one scene, each with all objects where they lay at first."""
    arm, gripper = both_kinds(seed)
    try:
        regions, layout = regions_of(arm), arm.scene.world.layout()
        rng = np.random.default_rng([seed, 12])
        for _ in range(count if regions else 0):
            grasp = grasp_in(choose(regions, rng), arm.scene.world.table.z, rng)
            near = tuple(name for name, _ in arm.scene.world.objects_near(grasp.x, grasp.y, 0.1))
            yield Pair(grasp, *(_executed(cell, layout, grasp) for cell in (arm, gripper)), near)
    finally:
        arm.close()
        gripper.close()


def _executed(workcell: InProcessWorkcell, layout: np.ndarray, grasp: Grasp) -> Step:
    workcell.scene.world.lay_out(layout)
    return workcell.pick(grasp)


def describe(pair: Pair) -> str:
    """For a person: where they disagree, and how."""
    g = pair.grasp
    where = f"{g.arm} ({g.x:.3f}, {g.y:.3f}, {np.degrees(g.theta):.0f} deg) near {', '.join(pair.objects[:2])}"
    return (
        f"{where}: arm {pair.arm.outcome}: {pair.arm.message} | gripper {pair.gripper.outcome}: {pair.gripper.message}"
    )


def summary(found: List[Pair]) -> Tuple[float, int, int]:
    """Share of equal labels, how many grasps have labels of both, and how many of the arm's are successes."""
    labelled = [pair for pair in found if pair.is_labelled]
    same = sum(pair.agrees for pair in labelled)
    held = sum(pair.arm.outcome is Outcome.SUCCESS for pair in labelled)
    return same / max(len(labelled), 1), len(labelled), held
