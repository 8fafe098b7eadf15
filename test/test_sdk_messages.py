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


@pytest.mark.parametrize(("name", "md5"), sorted(MESSAGES.items()))
def test_message_is_rethinks(name, md5):
    assert getattr(importlib.import_module("baxter_core_msgs.msg"), name)._md5sum == md5


@pytest.mark.parametrize(("name", "md5"), sorted(SERVICES.items()))
def test_service_is_rethinks(name, md5):
    assert getattr(importlib.import_module("baxter_core_msgs.srv"), name)._md5sum == md5


@pytest.mark.parametrize(
    ("message", "constant", "value"),
    [
        ("JointCommand", "RAW_POSITION_MODE", 4),
        ("AssemblyState", "ESTOP_BUTTON_PRESSED", 1),
        ("EndEffectorCommand", "CMD_CLEAR_CALIBRATION", "clear_calibration"),
        ("EndEffectorProperties", "ELECTRIC_GRIPPER", 2),
    ],
)
def test_constants_have_rethinks_values(message, constant, value):
    assert getattr(getattr(importlib.import_module("baxter_core_msgs.msg"), message), constant) == value
