#!/usr/bin/env python3
"""A calibration over ROS, as calibrate.launch runs it: Kinect, table and wrist camera, then its check by clicks."""

import contextlib
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import rospy
import rostest
import yaml
from geometry_msgs.msg import Point
from std_msgs.msg import Float64
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from grasp_learning.calibrating.solving import pose_error
from grasp_learning.calibration import load_calibration, pose_of, save_calibration
from grasp_learning.geometry import Camera

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config"
TRUTH = CONFIG / "calibration" / "sim.yaml"
START = CONFIG / "calibration" / "start.yaml"
KINECT = Camera(1920, 1080, np.array([[1060.0, 0, 959.5], [0, 1060.0, 539.5], [0, 0, 1]]))
DEADLINE = 300.0  # s, wall clock


def parameters(**changes):
    """The node's parameters as the launch file sets them, with fewer poses and pictures."""
    values = yaml.safe_load((CONFIG / "calibrate.yaml").read_text())
    values["cell"] = yaml.safe_load((CONFIG / "calibration_cell.yaml").read_text())
    values["cell"].update(settle=0.2, motion={})
    values["cell"]["safety"]["speed_ratio"] = 0.4
    # a busy machine, beside a simulation that runs as fast as it can
    values["cell"]["streaming"] = {"joint_state_timeout": 2.0, "state_timeout": 2.0, "tracking_tolerance": 0.5}
    for camera in ("kinect", "wrist"):
        values[camera].update(pictures=1, spare=8)
        # 12 have to agree
        values[camera]["poses"].update(count=13, candidates=60)
    return {**values, "start": str(START), "seed": 0, "confirm": False, **changes}


@contextlib.contextmanager
def node(name, values):
    """A node of this package with its parameters; its output is in the `lines` file of what is given."""
    rospy.set_param(f"/{name}", values)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([str(ROOT / "nodes" / name)], stdout=output, stderr=subprocess.STDOUT, text=True)
        process.lines = output
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20.0)


def said(process):
    process.lines.seek(0)
    return process.lines.read()


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE:g} s: {what}")
        time.sleep(0.05)


class CalibrateTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.output = Path(folder.name) / "made" / "sim_measured.yaml"

    def finish(self, process):
        """Wait for the end of a calibration that must succeed."""
        self.assertEqual(process.wait(DEADLINE), 0, said(process))

    def test_everything_is_measured_after_a_person_confirmed(self):
        values = parameters(output=str(self.output), steps="kinect,table,wrist", confirm=True)
        with node("calibrate", values) as process:
            rospy.wait_for_service("/calibrate/start", DEADLINE)
            time.sleep(1.0)
            self.assertNotIn("pose 1", said(process), "nothing moves before a person says so")
            self.assertTrue(rospy.ServiceProxy("/calibrate/start", Trigger)().success)
            self.finish(process)
        found, truth = load_calibration(self.output), load_calibration(TRUTH)
        position, angle = pose_error(found.T_base_kinect.matrix, truth.T_base_kinect.matrix)
        self.assertLess(position, 0.0025)
        self.assertLess(np.degrees(angle), 0.2)
        self.assertAlmostEqual(found.table.z, truth.table.z, delta=0.003)
        measured = found.measured
        self.assertGreaterEqual(measured.kinect.used, 12)
        self.assertLess(measured.kinect.rms_px, 1.0)
        self.assertLess(measured.left_wrist.position_off, 0.002)
        self.assertLess(found.age(), DEADLINE)
        self.assertEqual(set(found.residuals()), {"kinect", "table", "left_wrist"})

    def test_a_touched_table_leaves_the_rest_of_the_file(self):
        before = load_calibration(TRUTH)
        self.output.parent.mkdir()
        table = before.table.model_copy(update={"z": -0.12})
        save_calibration(before.model_copy(update={"table": table}), self.output)
        values = parameters(output=str(self.output), steps="table", table_by="touch", arm="right")
        with node("calibrate", values) as process:
            self.finish(process)
        after = load_calibration(self.output)
        self.assertEqual(after.measured.table.method, "touch")
        self.assertAlmostEqual(after.table.z, before.table.z, delta=0.004)
        self.assertEqual(after.T_base_kinect, before.T_base_kinect)

    def test_the_error_of_a_calibration_is_measured_by_clicks(self):
        truth = load_calibration(TRUTH)
        T = truth.T_base_kinect.matrix
        T[:3, 3] += [0.012, -0.016, 0.0]  # 2 cm off
        save_calibration(truth.model_copy(update={"T_base_kinect": pose_of(T)}), self.output)
        errors, transforms = [], []
        clicks = rospy.Publisher("/kinect2/hd/image_color_mouse_left", Point, queue_size=1)
        file = {"calibration": str(self.output)}
        values = {**file, "truth": str(TRUTH), "arm": "right", "cell": parameters()["cell"], "confirm": False}
        with node("calibration_publisher", file), node("check_calibration", {**values, "confirm": True}) as process:
            rospy.wait_for_service("/check_calibration/start", DEADLINE)
            wait_until(lambda: "Stand clear" in said(process), "a person is asked")
            self.assertNotIn("click on the table", said(process))
            self.assertTrue(rospy.ServiceProxy("/check_calibration/start", Trigger)().success)
            wait_until(lambda: "click on the table" in said(process), "clicks are waited for")
            rospy.Subscriber("/check_calibration/error", Float64, errors.append)
            rospy.Subscriber("/tf_static", TFMessage, lambda message: transforms.extend(message.transforms))
            wait_until(lambda: clicks.get_num_connections() > 0, "the node listens to clicks")
            u, v = KINECT.base_to_pixels([0.70, -0.25, -0.10], truth.T_base_kinect.matrix)[0]
            clicks.publish(Point(u, 5.0, 0.0))  # far beyond the table
            wait_until(lambda: "does not show the table" in said(process), "a click beside the table is told")
            clicks.publish(Point(u, v, 0.0))
            wait_until(lambda: errors or said(process).count("WARN") > 2, "an answer to the second click")
            self.assertTrue(errors, said(process))
            wait_until(lambda: transforms, "the calibration is published")
        self.assertAlmostEqual(errors[0].data, 0.020, delta=0.005)
        self.assertEqual(transforms[0].header.frame_id, "base")

    def test_a_calibration_that_cannot_be_says_why(self):
        start = self.output.parent.parent / "start.yaml"
        values = yaml.safe_load(START.read_text())
        values["T_base_kinect"]["translation"][2] = 2.5
        start.write_text(yaml.safe_dump(values))
        impossible = parameters(output=str(self.output), start=str(start), steps="kinect")
        impossible["kinect"]["poses"]["draws"] = 100
        with node("calibrate", impossible) as process:
            self.assertEqual(process.wait(DEADLINE), 1, said(process))
            self.assertIn("check the rough pose of the camera", said(process))
        with node("calibrate", parameters(output=str(self.output), steps="kinect,table", table_by="touch")) as process:
            self.assertEqual(process.wait(DEADLINE), 1, said(process))
            self.assertIn("plate is in the way", said(process))
        with node("calibrate", parameters(output=str(self.output), confirm=True, confirm_timeout=0.5)) as process:
            self.assertEqual(process.wait(DEADLINE), 1, said(process))
            self.assertIn("nobody confirmed", said(process))
        with node("calibrate", parameters(output=str(self.output), steps="table")) as process:
            self.assertEqual(process.wait(DEADLINE), 1, said(process))
            self.assertIn("only once the Kinect was measured", said(process))
        bounded = parameters(output=str(self.output), steps="kinect")
        bounded["cell"]["safety"]["workspace_z"] = [-0.3, -0.1]
        with node("calibrate", bounded) as process:
            self.assertEqual(process.wait(DEADLINE), 1, said(process))
            self.assertIn("left out: the path is refused: a command would bring", said(process))
            self.assertIn("12 are needed", said(process))
        moveit = parameters(output=str(self.output))
        moveit["cell"].update(planner="moveit", startup_timeout=1.0)
        with node("calibrate", moveit) as process:
            self.assertEqual(process.wait(DEADLINE), 1, said(process))
            self.assertRegex(said(process), "FATAL.*(needs moveit_commander|get_planning_scene did not answer)")
        self.assertFalse(self.output.exists())


if __name__ == "__main__":
    rospy.init_node("calibrate_rostest")
    rostest.rosrun("grasp_learning", "calibrate_test", CalibrateTest)
