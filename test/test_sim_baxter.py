"""The simulated robot as its user meets it: servos, stops, and a gripper that holds and loses things."""

import numpy as np
import pytest
from physics_scene import SPOT, Cell, block, place, solve

from grasp_learning.robot_description import ARM_JOINT_SUFFIXES, NEUTRAL, arm_joints
from grasp_learning.sim.baxter import ControlMode, SimulatedBaxter
from grasp_learning.sim.objects import ObjectSpec
from grasp_learning.sim.shapes import sphere
from grasp_learning.sim.world import World

# Limb.move_to_joint_positions waits until every joint is nearer than this (rad)
TOLERANCE = 0.008726646
LEFT = arm_joints("left")

POSES = [
    NEUTRAL,
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # stretched out: the largest load on the shoulder
    (-0.3, -0.9, 0.5, 1.6, -0.4, 1.2, 1.0),
    (0.6, 0.2, -1.0, 1.0, 1.2, 0.8, -2.0),
]


@pytest.fixture(scope="module")
def shared_cell():
    return Cell(block())


@pytest.fixture
def cell(shared_cell):
    """An enabled robot at neutral with calibrated grippers; its one object is parked."""
    shared_cell.robot.reset()
    shared_cell.robot.enable()
    for side in ("left", "right"):
        shared_cell.robot.set_command_timeout(side, 0.2)
        shared_cell.move_arm(side, NEUTRAL, 3.0, speed=1.0)
    shared_cell.robot.set_speed_ratio("left", 0.3)
    return shared_cell


def drive(cell, mode, values, seconds, names=LEFT):
    cell.run(seconds, lambda: cell.robot.command_joints("left", mode, names, values))


# --- servos ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [0.0, 1.0])
@pytest.mark.parametrize("pose", POSES)
def test_rest_error_under_gravity_and_payload(cell, pose, payload):
    hand = cell.world.model.body("left_gripper").id
    cell.world.data.xfrc_applied[hand, 2] = -9.81 * payload
    try:
        cell.move_arm("left", pose, 4.0, speed=1.0)
        error = np.abs(cell.robot.arm_positions("left") - pose).max()
        effort = np.abs(cell.robot.joint_efforts[1:8]).max()
    finally:
        cell.world.data.xfrc_applied[hand, 2] = 0.0
    assert error < TOLERANCE
    # the motors do carry the arm: its own weight shows in the efforts
    assert effort > 5.0


def test_position_mode_moves_at_the_speed_ratio(cell):
    cell.robot.set_speed_ratio("left", 0.3)
    target = np.array(NEUTRAL) + [0.6, 0, 0, 0, 0, 0, 0]
    drive(cell, ControlMode.POSITION, target, 0.6)
    speeds = []
    for _ in range(20):
        drive(cell, ControlMode.POSITION, target, 0.01)
        speeds.append(cell.robot.joint_velocities[1])
    assert np.mean(speeds) == pytest.approx(0.3 * 1.5, rel=0.03)
    drive(cell, ControlMode.POSITION, target, 2.0)
    np.testing.assert_allclose(cell.robot.arm_positions("left"), target, atol=TOLERANCE)


def test_a_smaller_speed_ratio_is_slower(cell):
    cell.robot.set_speed_ratio("left", 0.1)
    target = np.array(NEUTRAL) + [0.6, 0, 0, 0, 0, 0, 0]
    drive(cell, ControlMode.POSITION, target, 1.0)
    assert cell.robot.arm_positions("left")[0] == pytest.approx(0.15, abs=0.03)


def test_position_mode_does_not_overshoot(cell):
    cell.robot.set_speed_ratio("left", 1.0)
    reached = []
    target = np.array(NEUTRAL) + [0.4, 0, 0, 0, 0, 0, 0.5]

    def tick():
        cell.robot.command_joints("left", ControlMode.POSITION, LEFT, target)
        reached.append(cell.robot.arm_positions("left") - target)

    cell.run(3.0, tick)
    assert np.max(reached) < 0.01


def test_raw_position_follows_a_streamed_path(cell):
    errors = []
    start = np.array(NEUTRAL)
    for k in range(200):
        wanted = start + 0.3 * (1 - np.cos(2 * np.pi * k / 200)) / 2
        cell.robot.command_joints("left", ControlMode.RAW_POSITION, LEFT, wanted)
        cell.robot.update(0.01)
        errors.append(np.abs(cell.robot.arm_positions("left") - wanted).max())
    assert max(errors) < 0.02


def test_velocity_mode(cell):
    drive(cell, ControlMode.VELOCITY, [0, 0, 0, 0, 0, 0, 0.5], 1.0)
    assert cell.robot.joint_velocities[7] == pytest.approx(0.5, rel=0.05)
    assert cell.robot.arm_positions("left")[6] == pytest.approx(0.5, abs=0.05)


def test_velocity_mode_stops_at_the_joint_limit(cell):
    drive(cell, ControlMode.VELOCITY, [0, 0, 0, 0, 0, 3.0, 0], 1.5)
    assert cell.robot.arm_positions("left")[5] == pytest.approx(2.094, abs=TOLERANCE)


def test_torque_mode_floats_and_obeys(cell):
    # gravity is compensated beside the command: no torque, no fall
    drive(cell, ControlMode.TORQUE, [0.0] * 7, 1.0)
    np.testing.assert_allclose(cell.robot.arm_positions("left"), NEUTRAL, atol=0.05)
    drive(cell, ControlMode.TORQUE, [0, 0, 0, 0, 0, 0, 1.0], 0.3)
    assert cell.robot.arm_positions("left")[6] > 0.1
    cell.run(1.0)
    assert np.abs(cell.robot.joint_velocities[1:8]).max() < 0.01


def test_without_commands_position_mode_holds(cell):
    drive(cell, ControlMode.POSITION, np.array(NEUTRAL) + 0.5, 0.4)
    cell.run(0.5)
    stopped = cell.robot.arm_positions("left")
    cell.run(1.0)
    np.testing.assert_allclose(cell.robot.arm_positions("left"), stopped, atol=0.005)
    # the slow joints were still far from the target
    assert (np.abs(stopped - NEUTRAL - 0.5)[:4] > 0.05).all()


def test_without_commands_velocity_mode_stops(cell):
    drive(cell, ControlMode.VELOCITY, [0, 0, 0, 0, 0, 0, 0.5], 0.5)
    cell.run(0.5)
    stopped = cell.robot.arm_positions("left")
    cell.run(1.0)
    np.testing.assert_allclose(cell.robot.arm_positions("left"), stopped, atol=1e-3)


def test_a_longer_timeout_keeps_going(cell):
    cell.robot.set_command_timeout("left", 5.0)
    cell.robot.command_joints("left", ControlMode.VELOCITY, LEFT, [0, 0, 0, 0, 0, 0, 0.5])
    cell.run(1.0)
    assert cell.robot.joint_velocities[7] == pytest.approx(0.5, rel=0.05)


def test_a_command_for_one_joint_leaves_the_others(cell):
    drive(cell, ControlMode.POSITION, [0.3], 2.0, names=["left_w2"])
    np.testing.assert_allclose(cell.robot.arm_positions("left"), [*NEUTRAL[:6], 0.3], atol=TOLERANCE)


def test_positions_beyond_the_limits_are_clipped(cell):
    cell.robot.set_speed_ratio("left", 1.0)
    drive(cell, ControlMode.POSITION, [5.0], 3.0, names=["left_w1"])
    assert cell.robot.arm_positions("left")[5] == pytest.approx(2.094, abs=TOLERANCE)


@pytest.mark.parametrize(
    "mode, names, values, message",
    [
        (7, LEFT, [0.0] * 7, "7 is not a valid ControlMode"),
        (1, ["left_s9"], [0.0], "left_s9"),
        (1, ["right_s0"], [0.0], "right_s0"),
        (1, LEFT, [0.0] * 6, "expected 7 finite values"),
        (1, ["left_s0"], [np.nan], "expected 1 finite values"),
    ],
)
def test_bad_commands_are_refused(cell, mode, names, values, message):
    with pytest.raises(ValueError, match=message):
        cell.robot.command_joints("left", mode, names, values)


# --- enable, stop, e-stop -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("halt", ["disable", "stop", "press_estop"])
@pytest.mark.parametrize("mode", [ControlMode.POSITION, ControlMode.VELOCITY, ControlMode.TORQUE])
def test_commanded_motion_stops_and_the_arm_holds(cell, halt, mode):
    values = [0, 0, 0, 0, 0, 0, 2.0] if mode is not ControlMode.POSITION else np.array(NEUTRAL) + 0.8
    drive(cell, mode, values, 0.3)
    assert np.abs(cell.robot.joint_velocities[1:8]).max() > 0.05
    getattr(cell.robot, halt)()
    drive(cell, mode, values, 0.5)
    stopped = cell.robot.arm_positions("left")
    drive(cell, mode, values, 1.0)
    np.testing.assert_allclose(cell.robot.arm_positions("left"), stopped, atol=2e-3)
    cell.robot.release_estop()


def test_states_of_the_estop(cell):
    robot = cell.robot
    robot.press_estop()
    state = robot.assembly_state
    assert (state.enabled, state.stopped, state.estop_button, state.estop_source) == (False, True, 1, 1)
    robot.enable()
    robot.reset()
    assert robot.assembly_state == state
    robot.release_estop()
    assert (robot.assembly_state.stopped, robot.assembly_state.estop_button) == (True, 3)
    robot.enable()
    assert not robot.assembly_state.enabled
    robot.reset()
    state = robot.assembly_state
    assert not (state.enabled or state.stopped or state.error or state.estop_button or state.estop_source)
    robot.enable()
    assert robot.assembly_state.enabled


def test_a_robot_starts_disabled_and_ignores_commands():
    cell = Cell(block())
    cell.world.reset()
    cell.robot.restart()
    drive(cell, ControlMode.POSITION, np.array(NEUTRAL) + 0.3, 1.0)
    np.testing.assert_allclose(cell.robot.arm_positions("left"), NEUTRAL, atol=1e-3)


# --- readings -------------------------------------------------------------------------------------------------------


def test_joint_readings_are_named(cell):
    readings = dict(zip(cell.robot.joint_names, cell.robot.joint_positions))
    assert len(cell.robot.joint_names) == 19
    for side in ("left", "right"):
        for suffix, angle in zip(ARM_JOINT_SUFFIXES, NEUTRAL):
            assert readings[f"{side}_{suffix}"] == pytest.approx(angle, abs=TOLERANCE)
    assert readings["l_gripper_l_finger_joint"] == pytest.approx(-readings["l_gripper_r_finger_joint"], abs=1e-4)


def test_endpoint_pose_and_twist(cell):
    np.testing.assert_allclose(cell.robot.endpoint_pose("left")[:3, 3], [0.6463, 0.8413, 0.0626], atol=0.005)
    drive(cell, ControlMode.VELOCITY, [0.3, 0, 0, 0, 0, 0, 0], 1.0)
    before = cell.robot.endpoint_pose("left")[:3, 3]
    twist = cell.robot.endpoint_twist("left")
    drive(cell, ControlMode.VELOCITY, [0.3, 0, 0, 0, 0, 0, 0], 0.01)
    moved = cell.robot.endpoint_pose("left")[:3, 3] - before
    np.testing.assert_allclose(twist[:3], moved / 0.01, atol=0.01)
    np.testing.assert_allclose(twist[3:], [0, 0, 0.3], atol=0.01)


def test_the_wrench_is_quiet_in_the_air_even_when_moving(cell):
    drive(cell, ControlMode.POSITION, np.array(NEUTRAL) + 0.3, 0.5)
    np.testing.assert_array_equal(cell.robot.endpoint_wrench("left"), np.zeros(6))


def test_the_wrench_shows_the_table():
    cell = Cell(block())
    x, y = SPOT
    cell.move_arm("left", solve("left", x, y, cell.world.table.z + 0.05))
    cell.move_vertically("left", x, y, cell.world.table.z + 0.05, cell.world.table.z - 0.005)
    force = cell.robot.endpoint_wrench("left")[:3]
    assert force[2] > 5.0
    assert cell.robot.endpoint_wrench("right")[2] == 0.0


def test_the_head_turns(cell):
    cell.robot.command_head_pan(0.6, 0.5)
    cell.run(0.2)
    assert cell.robot.head_turning
    cell.run(2.0)
    assert cell.robot.head_pan == pytest.approx(0.6, abs=0.02)
    assert not cell.robot.head_turning
    cell.robot.command_head_pan(0.0)
    cell.run(2.0)


# --- the gripper's firmware -----------------------------------------------------------------------------------------


def gripper(cell):
    return cell.robot.grippers["left"]


def test_calibration_takes_its_time_and_is_not_restarted_by_republishing(cell):
    cell.grip("left", "clear_calibration")
    cell.robot.update(0.01)
    assert (gripper(cell).state.calibrated, gripper(cell).state.ready) == (0, 1)
    ticks, seen = 0, []
    while not gripper(cell).state.calibrated and ticks < 500:
        gripper(cell).command("calibrate", None, "/me_calibrate", 7)
        cell.robot.update(0.01)
        seen.append(gripper(cell).position)
        ticks += 1
    assert 1.0 < ticks * 0.01 < 3.0
    assert min(seen) < 3.0 and seen[-1] > 97.0
    state = gripper(cell).state
    assert (state.ready, state.moving, state.error) == (1, 0, 0)
    assert (state.command, state.command_sender, state.command_sequence) == ("calibrate", "/me_calibrate", 7)


def test_an_uncalibrated_gripper_does_not_move(cell):
    cell.grip("left", "clear_calibration")
    state = cell.close("left")
    assert (state.position, state.moving, state.command) == (pytest.approx(100.0, abs=1.0), 0, "go")
    cell.grip("left", "calibrate")
    cell.run(2.5)


def test_a_republished_move_counts_once(cell):
    for _ in range(120):
        gripper(cell).command("go", {"position": 40.0}, "/me_go", 3)
        cell.robot.update(0.01)
    assert gripper(cell).position == pytest.approx(40.0, abs=1.0)
    # somebody else opens; the old command, still republished, must not close it again
    gripper(cell).command("release", {}, "/other_release", 1)
    for _ in range(150):
        gripper(cell).command("go", {"position": 40.0}, "/me_go", 3)
        cell.robot.update(0.01)
    assert gripper(cell).position == pytest.approx(100.0, abs=1.0)
    gripper(cell).command("go", {"position": 40.0}, "/me_go", 4)
    cell.run(1.5)
    assert gripper(cell).position == pytest.approx(40.0, abs=1.0)
    cell.grip("left", "release")
    cell.run(1.5)


def test_closing_on_nothing_is_a_miss(cell):
    cell.grip("left", "grip")
    cell.run(0.4)
    state = gripper(cell).state
    assert (state.moving, state.missed) == (1, 0)
    assert 20.0 < state.position < 80.0
    cell.run(1.0)
    state = gripper(cell).state
    assert (state.moving, state.gripping, state.missed) == (0, 0, 1)
    assert state.position == pytest.approx(0.0, abs=0.5)
    assert state.force == 0.0
    cell.grip("left", "prepare_to_grip")
    cell.run(1.5)
    state = gripper(cell).state
    assert (state.gripping, state.missed) == (0, 0)
    assert state.position == pytest.approx(100.0, abs=0.5)


def test_velocity_decides_how_long_closing_takes(cell):
    durations = []
    for velocity in (100.0, 25.0):
        cell.grip("left", "configure", velocity=velocity)
        cell.grip("left", "grip")
        ticks = 0
        while gripper(cell).moving and ticks < 500:
            cell.robot.update(0.01)
            ticks += 1
        durations.append(ticks * 0.01)
        cell.grip("left", "release")
        cell.run(2.0)
    cell.grip("left", "configure", velocity=50.0)
    assert durations[1] > 3 * durations[0]


def test_stop_halts_a_move(cell):
    cell.grip("left", "grip")
    cell.run(0.3)
    cell.grip("left", "stop")
    cell.run(0.1)
    halted = gripper(cell).position
    cell.run(0.5)
    assert gripper(cell).position == pytest.approx(halted, abs=0.5)
    assert 20.0 < halted < 90.0
    assert not gripper(cell).moving
    cell.grip("left", "release")
    cell.run(1.0)


def test_reboot_forgets_the_calibration(cell):
    cell.grip("left", "reboot")
    cell.run(0.1)
    assert (gripper(cell).state.ready, gripper(cell).state.enabled) == (0, 0)
    cell.run(2.0)
    state = gripper(cell).state
    assert (state.ready, state.enabled, state.calibrated) == (1, 1, 0)
    cell.grip("left", "calibrate")
    cell.run(2.5)


@pytest.mark.parametrize(
    "command, args, message",
    [
        ("dance", {}, "unknown gripper command 'dance'; expected one of"),
        ("go", {}, "position is None"),
        ("go", {"position": "wide"}, "position is 'wide'"),
        ("configure", {"velocity": 300.0}, "velocity"),
        ("configure", {"colour": 1.0}, "colour"),
    ],
)
def test_bad_gripper_commands_are_refused(cell, command, args, message):
    with pytest.raises(ValueError, match=message):
        gripper(cell).command(command, args, f"/bad_{message}", 1)


def test_an_estop_stops_the_fingers(cell):
    cell.grip("left", "grip")
    cell.run(0.3)
    cell.robot.press_estop()
    cell.run(0.1)
    halted = gripper(cell).position
    cell.run(1.0)
    assert gripper(cell).position == pytest.approx(halted, abs=0.5)
    assert gripper(cell).state.enabled == 0
    cell.robot.release_estop()
    cell.robot.reset()
    cell.robot.enable()
    cell.grip("left", "release")
    cell.run(1.5)


# --- holding and losing ---------------------------------------------------------------------------------------------


def picked(**kwargs):
    cell = Cell(block(**kwargs))
    place(cell.world, "block", *SPOT)
    closed, lifted = cell.pick("left", *SPOT)
    return cell, closed, lifted


@pytest.mark.parametrize("width", [0.045, 0.055, 0.07])
def test_a_held_objects_width_shows_in_the_position(width):
    _, closed, lifted = picked(width=width)
    expected = 100.0 * (width - 0.037) / 0.038
    assert closed.position == pytest.approx(expected, abs=2.0)
    assert lifted.position == pytest.approx(expected, abs=2.0)
    assert (closed.gripping, closed.missed, closed.moving) == (1, 0, 0)


def test_force_is_the_holding_force_while_held_and_zero_after():
    cell, closed, lifted = picked()
    assert closed.force == pytest.approx(30.0, abs=3.0)
    assert lifted.force == pytest.approx(30.0, abs=3.0)
    assert lifted.gripping == 1
    # what hangs in the hand pulls at it
    assert cell.robot.endpoint_wrench("left")[2] == pytest.approx(-0.1 * 9.81, rel=0.05)
    cell.grip("left", "release")
    cell.run(1.5)
    state = gripper(cell).state
    assert (state.force, state.gripping) == (0.0, 0)


def test_holding_force_is_configurable():
    cell, _, _ = picked()
    cell.grip("left", "configure", holding_force=60.0)
    cell.run(0.3)
    assert gripper(cell).force == pytest.approx(60.0, abs=4.0)


def test_an_object_thinner_than_the_closed_gap_is_missed():
    cell, closed, lifted = picked(width=0.03)
    for state in (closed, lifted):
        assert (state.force, state.gripping, state.missed) == (0.0, 0, 1)
    assert cell.world.held("left") is None


def test_an_object_wider_than_the_open_gap_blocks_the_descent():
    cell = Cell(block(width=0.08))
    place(cell.world, "block", *SPOT)
    cell.reach_down("left", *SPOT)
    assert cell.robot.endpoint_wrench("left")[2] > 15.0
    assert cell.robot.endpoint_pose("left")[2, 3] > cell.world.table.z + 0.06
    cell.close("left")
    cell.lift("left", *SPOT)
    assert cell.world.held("left") is None
    assert not gripper(cell).gripping


@pytest.mark.parametrize("friction, held", [(0.08, False), (0.8, True)])
def test_friction_decides_whether_a_heavy_object_is_lost(friction, held):
    cell, closed, lifted = picked(mass=0.5, friction=friction)
    assert closed.gripping == 1
    assert (cell.world.held("left") == "block") is held
    assert (lifted.force > 10.0) is held
    assert (lifted.gripping, lifted.missed) == ((1, 0) if held else (0, 1))


def test_mass_decides_too():
    cell, _, lifted = picked(mass=3.0, friction=0.4)
    assert cell.world.held("left") is None
    assert (lifted.force, lifted.gripping, lifted.missed) == (0.0, 0, 1)


def test_an_object_pulled_out_of_the_hand_is_noticed():
    cell, _, _ = picked()
    assert gripper(cell).gripping
    cell.world.place("block", (0.65, -0.3, cell.world.table.z + 0.05))
    cell.run(1.5)
    state = gripper(cell).state
    assert (state.gripping, state.missed, state.force) == (0, 1, 0.0)
    assert state.position == pytest.approx(0.0, abs=0.5)


def test_a_held_object_stays_held_through_an_estop():
    cell, _, _ = picked()
    cell.robot.press_estop()
    cell.run(2.0)
    assert cell.world.held("left") == "block"


def test_the_right_arm_picks_as_well():
    cell = Cell(block())
    place(cell.world, "block", SPOT[0], -SPOT[1])
    cell.pick("right", SPOT[0], -SPOT[1])
    assert cell.world.held("right") == "block"
    assert cell.robot.grippers["right"].gripping


def test_an_object_that_sticks_in_the_open_hand_is_taken_out_by_hand():
    # a little wider than the open gripper: soft pads let it in, and nothing lets it out
    ball = ObjectSpec("ball", "ball", "train", (sphere(0.0377, (0, 0, 0), mass=0.1),), 0.1, 0.8, rolls=True)
    cell = Cell(ball)
    place(cell.world, "ball", *SPOT)
    cell.pick("left", *SPOT)
    assert cell.world.held("left") == "ball"
    assert cell.robot.stuck_objects() == []  # it is held, not stuck
    cell.close("left", 100.0)
    assert cell.world.held("left") == "ball"
    assert cell.robot.stuck_objects() == ["ball"]
    assert cell.world.put_back(np.random.default_rng(0), also=cell.robot.stuck_objects()) == ["ball"]
    cell.run(1.0)
    assert cell.world.held("left") is None
    assert cell.world.objects_off_table() == []


def test_a_hand_that_opens_while_something_is_wedged_into_it_does_not_grip():
    world = World(0, [block(width=0.088, length=0.03)])  # a centimetre wider than the hand opens
    robot = SimulatedBaxter(world)
    robot.enable()
    gripper, numbers = robot.grippers["left"], iter(range(1, 9))

    def run(command, seconds, **args):
        gripper.command(command, args, "test", next(numbers))
        for _ in range(int(100 * seconds)):
            robot.update(0.01)

    run("calibrate", 4.0)
    run("go", 1.0, position=100.0)
    hand = world.data.body("left_gripper")
    along, across = hand.xmat.reshape(3, 3)[:2, 1]  # the closing direction
    half = (np.arctan2(across, along) - np.pi / 2) / 2
    world.place("block", hand.xpos + [0.0, 0.0, 0.01], (np.cos(half), 0.0, 0.0, np.sin(half)))
    run("no_op", 1.0)
    assert gripper.force > 90.0
    run("go", 1.0, position=100.0)
    assert not gripper.gripping
    assert robot.stuck_objects() == ["block"]
