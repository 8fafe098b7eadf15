#!/usr/bin/env python3
"""A process with a sampler, an executor and a Trigger service that misbehave as the arguments say.

Usage: hostile_server.py NAME HOW, HOW being sleep, die, raise or serve.
"""

import os
import signal
import sys
import time

import actionlib
import rospy
from std_srvs.srv import Trigger, TriggerResponse

from grasp_learning.msg import ApproachAction, ApproachResult, PickAction
from grasp_learning.srv import SampleRegion, SampleRegionResponse

NAME, HOW = sys.argv[1:3]


def behave() -> None:
    if HOW == "sleep":
        time.sleep(60.0)
    elif HOW == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif HOW == "raise":
        raise ValueError("no such spline")


def on_trigger(_):
    behave()
    return TriggerResponse(True, "served")


def on_region(_):
    behave()
    return SampleRegionResponse(outcome="NO_OBJECTS")


def on_goal(_):
    behave()
    server.set_succeeded(ApproachResult(outcome="UNREACHABLE", message="served"))


rospy.init_node(NAME)
rospy.Service("/roi_sampler/sample", SampleRegion, on_region)
rospy.Service("/hostile/trigger", Trigger, on_trigger)
server = actionlib.SimpleActionServer("/left/arm_executor/approach", ApproachAction, on_goal, auto_start=False)
pick = actionlib.SimpleActionServer("/left/arm_executor/pick", PickAction, on_goal, auto_start=False)
server.start()
pick.start()
print("up", flush=True)
rospy.spin()
