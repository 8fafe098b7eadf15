"""Command line, a filter: Rethink's description of Baxter in, one that holds the neutral posture in Gazebo out."""

import argparse
import sys
from typing import Optional, Sequence
from xml.etree import ElementTree

from grasp_learning.robot_description import SIDES

SHOULDER_EFFORT = 100.0  # N m; with the 50 of Rethink's xacro s1 cannot carry the stretched arm, which needs 50.3


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Read a URDF from standard input, write it to standard output.

    Returns:
        Exit status: 0, or 1 where the input is no description of Baxter.
    """
    parser = argparse.ArgumentParser(
        prog="gazebo_urdf",
        description="Read a URDF of Baxter from standard input and write it with an effort limit of the shoulders that "
        "carries the arms; launch/robot/gazebo.launch feeds it with Rethink's description.",
    )
    parser.parse_args(argv)
    try:
        print(strengthened(sys.stdin.read()))
    except ValueError as error:
        print(f"gazebo_urdf: {error}", file=sys.stderr)
        return 1
    return 0


def strengthened(urdf: str) -> str:
    """The URDF with SHOULDER_EFFORT as effort limit of both s1 joints.

    Raises:
        ValueError: it is no URDF, or has no such joints.
    """
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise ValueError(f"the input is no URDF: {error}") from None
    for side in SIDES:
        limit = root.find(f"joint[@name='{side}_s1']/limit")
        if limit is None:
            raise ValueError(f"the input has no joint {side}_s1 with a limit; expected Rethink's description of Baxter")
        limit.set("effort", f"{SHOULDER_EFFORT:g}")
    return ElementTree.tostring(root, encoding="unicode")
