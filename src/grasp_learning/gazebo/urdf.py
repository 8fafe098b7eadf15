"""Command line, a filter: Rethink's description of Baxter in, one that this package can work with in Gazebo out."""

import argparse
import copy
import sys
from typing import Optional, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from grasp_learning.robot_description import SIDES, finger_joints, load_urdf

SHOULDER_EFFORT = 100.0  # N m; with the 50 of Rethink's xacro s1 cannot carry the stretched arm, which needs 50.3


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Read a URDF from standard input, write it to standard output.

    Returns:
        Exit status: 0, or 1 where the input is no description of Baxter.
    """
    parser = argparse.ArgumentParser(
        prog="gazebo_urdf",
        description="Read a URDF of Baxter from standard input and write it with an effort limit of the shoulders that "
        "carries the arms, and with the fingers that this package's own description has; launch/robot/gazebo.launch "
        "feeds it with Rethink's description.",
    )
    parser.parse_args(argv)
    try:
        print(adapted(sys.stdin.read()))
    except ValueError as error:
        print(f"gazebo_urdf: {error}", file=sys.stderr)
        return 1
    return 0


def adapted(urdf: str) -> str:
    """The URDF with SHOULDER_EFFORT as effort limit of both s1 joints and with this package's fingers.

    Rethink's description names slot and tips of the fingers in files that take no arguments: slot 2, and tips of one
    kind on the left hand and of another on the right one.

    Raises:
        ValueError: it is no URDF, or lacks a part of Baxter.
    """
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise ValueError(f"the input is no URDF: {error}") from None
    own = ElementTree.fromstring(load_urdf())
    for side in SIDES:
        _part(root, f"joint[@name='{side}_s1']/limit").set("effort", f"{SHOULDER_EFFORT:g}")
        for joint in finger_joints(side):
            where = f"joint[@name='{joint}']/origin"
            _part(root, where).attrib = dict(_part(own, where).attrib)
            tip = f"link[@name='{joint.replace('_joint', '_tip')}']"
            _take_shapes(_part(root, tip), _part(own, tip))
    return ElementTree.tostring(root, encoding="unicode")


def _part(root: Element, path: str) -> Element:
    """A part of a description.

    Raises:
        ValueError: there is none.
    """
    part = root.find(path)
    if part is None:
        raise ValueError(f"the input has no {path}; expected Rethink's description of Baxter with electric grippers")
    return part


def _take_shapes(link: Element, other: Element) -> None:
    """Give a link the shapes of another one, without colours: these are names that only its own file knows."""
    for tag in ("visual", "collision"):
        for shape in link.findall(tag):
            link.remove(shape)
        for shape in copy.deepcopy(other.findall(tag)):
            for colour in shape.findall("material"):
                shape.remove(colour)
            link.append(shape)
