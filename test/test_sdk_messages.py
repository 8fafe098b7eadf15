"""The SDK's messages, stand-in or real, must be Rethink's on the wire: ROS compares exactly these MD5 sums."""

import importlib

import pytest

pytest.importorskip("baxter_core_msgs", reason="needs the built workspace")

# Computed from release 1.2.0 of baxter_common itself.
MESSAGES = {
    "AnalogIOState": "39af371963dc9e4447e91f430c720b33",
    "AnalogIOStates": "0a05ba3bbb53a8a3b164e34946d619f7",
    "AnalogOutputCommand": "a7b945129a083ca4095d48aa94841d85",
    "AssemblyState": "356d9dd237ce73b2667da9235f541933",
    "AssemblyStates": "63427318d41dbd2077c105027ad82a2b",
    "CameraControl": "01e38dd67dfb36af457f0915248629d1",
    "CameraSettings": "d133bef4a3bd9a6e490a5dc91d20f429",
    "CollisionAvoidanceState": "30f5cb8ae019f1ffe8b599e6d2e589c7",
    "CollisionDetectionState": "7bde38c182b4d08fdc0635b116f65d04",
    "DigitalIOState": "29d0be3859dae81a66b28f167ecec98c",
    "DigitalIOStates": "d434210c6ec20947fec667d6c13d6062",
    "DigitalOutputCommand": "23f05028c1a699fb83e22401228c3a9e",
    "EndEffectorCommand": "c003234e90416f2ca02ac7837c42cbb7",
    "EndEffectorProperties": "21b83773ab9a35216d11e427573c76cc",
    "EndEffectorState": "ade777f069d738595bc19e246b8ec7a0",
    "EndpointState": "44bea01d596ff699fa1447bec34167ac",
    "EndpointStates": "a0ca50a066809a5f065f39f37aa028fb",
    "HeadPanCommand": "23b8a3f4b7ee9de7099d029e57660a8c",
    "HeadState": "71c43b264307205358e7e49be5601348",
    "JointCommand": "19bfec8434dd568ab3c633d187c36f2e",
    "NavigatorState": "680d121a1f16a32647298b292492fffd",
    "NavigatorStates": "2c2eeb02fbbaa6f1ab6c680887f2db78",
    "RobustControllerStatus": "2f15441b7285d915e7e59d3618e173f2",
    "SEAJointState": "d36406dcbb6d860b1b39c4e28f81352b",
    "URDFConfiguration": "0c7028d878027820eed2aa0cbf1f5e4a",
}
SERVICES = {
    "CloseCamera": "1067b4a7f008fe1ff4bd9668312773fd",
    "ListCameras": "855b31192ab61744e7deb992d94db7ff",
    "OpenCamera": "73eacff63d5f9cca2d986614515a5c8c",
    "SolvePositionIK": "18cc92fd96853eb10b34de0b5c7d3cba",
}

# Read from the same release; of services, from their request and response.
CONSTANTS = {
    "AssemblyState": {
        "ESTOP_BUTTON_PRESSED": 1,
        "ESTOP_BUTTON_RELEASED": 3,
        "ESTOP_BUTTON_UNKNOWN": 2,
        "ESTOP_BUTTON_UNPRESSED": 0,
        "ESTOP_SOURCE_BRAIN": 4,
        "ESTOP_SOURCE_FAULT": 3,
        "ESTOP_SOURCE_NONE": 0,
        "ESTOP_SOURCE_UNKNOWN": 2,
        "ESTOP_SOURCE_USER": 1,
    },
    "CameraControl": {
        "CAMERA_CONTROL_EXPOSURE": 100,
        "CAMERA_CONTROL_FLIP": 107,
        "CAMERA_CONTROL_GAIN": 101,
        "CAMERA_CONTROL_MIRROR": 108,
        "CAMERA_CONTROL_RESOLUTION_HALF": 109,
        "CAMERA_CONTROL_WHITE_BALANCE_B": 104,
        "CAMERA_CONTROL_WHITE_BALANCE_G": 103,
        "CAMERA_CONTROL_WHITE_BALANCE_R": 102,
        "CAMERA_CONTROL_WINDOW_X": 105,
        "CAMERA_CONTROL_WINDOW_Y": 106,
    },
    "DigitalIOState": {
        "OFF": 0,
        "ON": 1,
        "PRESSED": 1,
        "UNPRESSED": 0,
    },
    "EndEffectorCommand": {
        "CMD_CALIBRATE": "calibrate",
        "CMD_CLEAR_CALIBRATION": "clear_calibration",
        "CMD_CONFIGURE": "configure",
        "CMD_GO": "go",
        "CMD_GRIP": "grip",
        "CMD_NO_OP": "no_op",
        "CMD_PREPARE_TO_GRIP": "prepare_to_grip",
        "CMD_REBOOT": "reboot",
        "CMD_RELEASE": "release",
        "CMD_RESET": "reset",
        "CMD_SET": "set",
        "CMD_STOP": "stop",
    },
    "EndEffectorProperties": {
        "ELECTRIC_GRIPPER": 2,
        "NO_GRIPPER": 0,
        "PASSIVE_GRIPPER": 3,
        "SUCTION_CUP_GRIPPER": 1,
    },
    "EndEffectorState": {
        "FORCE_MAX": 100.0,
        "FORCE_MIN": 0.0,
        "POSITION_CLOSED": 0.0,
        "POSITION_OPEN": 100.0,
        "STATE_FALSE": 0,
        "STATE_TRUE": 1,
        "STATE_UNKNOWN": 2,
    },
    "HeadPanCommand": {
        "MAX_SPEED_RATIO": 1.0,
        "MIN_SPEED_RATIO": 0.0,
        "REQUEST_PAN_DISABLE": 0,
        "REQUEST_PAN_ENABLE": 1,
        "REQUEST_PAN_VOID": 2,
    },
    "JointCommand": {
        "POSITION_MODE": 1,
        "RAW_POSITION_MODE": 4,
        "TORQUE_MODE": 3,
        "VELOCITY_MODE": 2,
    },
    "RobustControllerStatus": {
        "COMPLETE_W_FAILURE": 1,
        "COMPLETE_W_SUCCESS": 2,
        "NOT_COMPLETE": 0,
    },
    "SolvePositionIKRequest": {
        "SEED_AUTO": 0,
        "SEED_CURRENT": 2,
        "SEED_NS_MAP": 3,
        "SEED_USER": 1,
    },
    "SolvePositionIKResponse": {
        "RESULT_INVALID": 0,
    },
}


@pytest.mark.parametrize(("name", "md5"), sorted(MESSAGES.items()))
def test_message_is_rethinks(name, md5):
    assert getattr(importlib.import_module("baxter_core_msgs.msg"), name)._md5sum == md5


@pytest.mark.parametrize(("name", "md5"), sorted(SERVICES.items()))
def test_service_is_rethinks(name, md5):
    assert getattr(importlib.import_module("baxter_core_msgs.srv"), name)._md5sum == md5


def test_constants_are_rethinks():
    modules = [importlib.import_module(f"baxter_core_msgs.{kind}") for kind in ("msg", "srv")]
    classes = {name: value for module in modules for name, value in vars(module).items() if hasattr(value, "_md5sum")}
    found = {name: {key: value for key, value in vars(cls).items() if key.isupper()} for name, cls in classes.items()}
    assert {name: values for name, values in found.items() if values} == CONSTANTS


def test_there_are_no_others():
    for kind, known in (("msg", MESSAGES), ("srv", SERVICES)):
        module = importlib.import_module(f"baxter_core_msgs.{kind}")
        classes = {name for name, value in vars(module).items() if hasattr(value, "_md5sum")}
        halves = {name + half for name in SERVICES for half in ("Request", "Response")} if kind == "srv" else set()
        assert classes == set(known) | halves
