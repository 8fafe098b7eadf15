"""scripts/setup.sh: each way it can fail ends in one clear line, and a finished set-up is not repeated.

The script runs on a copy of the files it needs, with fakes of apt-get, dpkg-query, id, rospack, catkin_make and
Python first in its PATH.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Dict

import pytest

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("CMakeLists.txt", "package.xml", "setup.py", "constraints.txt", "requirements.txt")
COPIED += ("requirements-dev.txt", "requirements-ray.txt")

# A Python 3.11 that can make virtual environments; their pip notes each call, and fails if told so.
FAKE_PYTHON = """
case "$*" in
  -V) echo Python 3.11.2 ;;
  *version_info*) echo 3.11 ;;
  *"-m venv"*)
    for folder; do :; done
    mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" && touch "$folder/bin/activate" ;;
  *"-m pip"*)
    echo pip >>"$FAKE_CALLS"
    if [ -n "$FAKE_PIP_ERROR" ]; then echo "$FAKE_PIP_ERROR"; exit 1; fi ;;
  *"import baxter_interface"*)
    if [ -n "$FAKE_IMPORT_ERROR" ]; then echo "$FAKE_IMPORT_ERROR"; exit 1; fi ;;
esac
"""
FAKE_CATKIN = """
echo catkin_make >>"$FAKE_CALLS"
if [ -n "$FAKE_CATKIN_ERROR" ]; then echo "$FAKE_CATKIN_ERROR"; exit 2; fi
mkdir -p .ws/devel
"""
FAKE_APT = """
echo "apt-get $*" >>"$FAKE_CALLS"
if [ -n "$FAKE_APT_ERROR" ]; then echo "$FAKE_APT_ERROR"; exit 100; fi
"""
ALL_INSTALLED = 'shift 2; for name; do echo "ii  $name"; done'


class Machine:
    """A checkout and a PATH of fakes."""

    def __init__(self, folder: Path):
        self.checkout = folder / "checkout"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        self.bin.mkdir(parents=True)
        self.calls.touch()
        for name in ("scripts", "msg", "srv", "action", "nodes", "sdk"):
            (self.checkout / name).mkdir(parents=True)
        shutil.copy(str(ROOT / "scripts" / "setup.sh"), str(self.checkout / "scripts"))
        for name in COPIED:
            shutil.copy(str(ROOT / name), str(self.checkout))
        self.fake("python", FAKE_PYTHON)
        self.fake("catkin_make", FAKE_CATKIN)
        self.fake("apt-get", FAKE_APT)
        self.fake("dpkg", "exit 0")
        self.fake("dpkg-query", ALL_INSTALLED)
        self.fake("rospack", "exit 1")
        self.fake("id", 'case "$1" in -u) echo 0 ;; *) echo somebody ;; esac')

    def fake(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def setup(self, **settings: str) -> subprocess.CompletedProcess:
        environment: Dict[str, str] = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.checkout),
            "PYTHON": str(self.bin / "python"),
            "SETUP_ROS_PREFIX": "/nonexistent",
            "SETUP_NEEDS_MB": "1",
            "FAKE_CALLS": str(self.calls),
            **settings,
        }
        return subprocess.run(
            ["bash", str(self.checkout / "scripts" / "setup.sh")],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sdk_workspace(self, *packages: str, space: str = "devel") -> Path:
        """A built workspace; sourcing it lets (the fake) rospack find its packages."""
        workspace = self.checkout.parent / "baxter_ws"
        (workspace / space).mkdir(parents=True)
        (workspace / space / "setup.bash").write_text(
            f'export CMAKE_PREFIX_PATH={workspace} HAVE="{" ".join(packages)}"\n'
        )
        self.fake("rospack", f'case " $HAVE " in *" $2 "*) echo {workspace}/src/$2 ;; *) exit 1 ;; esac')
        return workspace

    def linked(self) -> set:
        """What the checkout's own workspace has in src/."""
        return {path.name for path in (self.checkout / ".ws" / "src").iterdir()}

    def called(self) -> list:
        lines = self.calls.read_text().splitlines()
        self.calls.write_text("")
        return lines


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def assert_one_error(result: subprocess.CompletedProcess, *parts: str) -> None:
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("setup: ERROR: ")
    for part in parts:
        assert part in lines[0]


def test_a_second_run_does_nothing(machine):
    first = machine.setup()
    assert first.returncode == 0, first.stderr
    assert machine.called() == ["pip", "catkin_make"]
    env = (machine.checkout / ".ws" / "env.sh").read_text()
    assert str(machine.checkout / ".venv" / "bin" / "activate") in env

    second = machine.setup()
    assert second.returncode == 0, second.stderr
    assert machine.called() == []
    assert "ready" in second.stdout


@pytest.mark.parametrize("before", ["/a:{system}:/b", "{system}:/a:/b", "/a:/b:{system}", "/a:/b"])
def test_the_environments_own_packages_come_before_the_systems(machine, before):
    # the system's numpy before the environment's: no node could import what was built for the other one
    machine.setup()
    path = before.format(system="/usr/lib/python3/dist-packages")
    (machine.checkout / ".ws" / "devel" / "setup.sh").write_text(f"export PYTHONPATH={path}\n")
    command = f'. "{machine.checkout}/.ws/env.sh"; printenv PYTHONPATH'
    for shell in ("bash", "sh"):
        answer = subprocess.run([shell, "-euc", command], capture_output=True, text=True, timeout=20, check=True)
        assert answer.stdout == "/a:/b\n"


def test_what_changed_is_made_again_and_only_that(machine):
    machine.setup()
    machine.called()
    (machine.checkout / "msg" / "New.msg").write_text("int32 x\n")
    assert machine.setup().returncode == 0
    assert machine.called() == ["catkin_make"]

    with (machine.checkout / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    assert machine.setup().returncode == 0
    assert "pip" in machine.called()


def test_a_run_that_stopped_half_way_is_made_good(machine):
    assert_one_error(machine.setup(FAKE_PIP_ERROR="ERROR: killed"), "pip failed", "killed", "pip.log")
    assert_one_error(machine.setup(FAKE_CATKIN_ERROR="CMake Error at x"), "does not build", "CMake Error", "catkin.log")
    machine.called()
    assert machine.setup().returncode == 0
    assert machine.called() == ["catkin_make"]


def test_stand_ins_are_linked_only_where_the_sdk_is_absent(machine):
    machine.fake("rospack", '[ "$2" = baxter_core_msgs ] && echo /opt/baxter/share/baxter_core_msgs')
    result = machine.setup()
    assert result.returncode == 0, result.stderr
    assert machine.linked() == {"grasp_learning", "baxter_interface"}


def test_our_own_stand_ins_do_not_pass_for_an_installed_sdk(machine):
    machine.fake("rospack", f"echo {machine.checkout}/.ws/src/$2")
    assert machine.setup().returncode == 0
    assert machine.linked() == {"grasp_learning", "baxter_core_msgs", "baxter_interface"}


SDK = ("baxter_core_msgs", "baxter_interface")


@pytest.mark.parametrize("space", ["devel", "install", "."])
def test_sdk_of_a_workspace_is_used_and_remembered_until_it_is_forgotten(machine, space):
    workspace = machine.sdk_workspace(*SDK, space=space)
    result = machine.setup(SETUP_SDK=str(workspace))
    assert result.returncode == 0, result.stderr
    assert f"using the installed Baxter SDK in {workspace}" in result.stdout
    assert machine.linked() == {"grasp_learning"}
    machine.called()

    assert machine.setup().returncode == 0
    assert machine.called() == []

    assert machine.setup(SETUP_SDK="").returncode == 0
    assert machine.called() == ["catkin_make"]
    assert machine.linked() == {"grasp_learning", *SDK}
    assert machine.setup().returncode == 0
    assert machine.called() == []


def test_sdk_workspace_that_is_not_built(machine):
    for missing in (machine.checkout, machine.checkout / "nowhere"):
        assert_one_error(machine.setup(SETUP_SDK=str(missing)), str(missing), "no built catkin workspace", "SETUP_SDK=")


def test_sdk_workspace_without_the_interface(machine):
    workspace = machine.sdk_workspace("baxter_core_msgs")
    assert_one_error(
        machine.setup(SETUP_SDK=str(workspace)), str(workspace), "no package baxter_interface", "docs/sdk.md"
    )
    # what was refused is not remembered
    assert machine.setup().returncode == 0
    assert machine.linked() == {"grasp_learning", *SDK}


def test_sdk_for_python_2_is_refused(machine):
    workspace = str(machine.sdk_workspace(*SDK))
    result = machine.setup(SETUP_SDK=workspace, FAKE_IMPORT_ERROR="SyntaxError: multiple exception types")
    assert_one_error(result, "baxter_interface is written for Python 2", "docs/sdk.md")
    result = machine.setup(SETUP_SDK=workspace, FAKE_IMPORT_ERROR="ModuleNotFoundError: No module named 'control_msgs'")
    assert_one_error(result, "cannot be imported", "control_msgs", "sdk.log")


def test_neither_root_nor_sudo(machine):
    machine.fake("id", 'case "$1" in -u) echo 1000 ;; *) echo somebody ;; esac')
    machine.fake("dpkg-query", "exit 1")
    # a PATH of links, so that a sudo of this machine is not found
    for name in ("awk", "bash", "cat", "df", "dirname", "env", "flock", "grep", "mkdir"):
        (machine.bin / name).symlink_to(shutil.which(name))
    result = machine.setup(PATH=str(machine.bin))
    assert_one_error(result, "neither root nor sudo", "ros-base", "apt-get install")


def test_no_network_for_system_packages(machine):
    machine.fake("dpkg-query", "exit 1")
    result = machine.setup(FAKE_APT_ERROR="E: Failed to fetch http://x  Temporary failure resolving 'x'")
    assert_one_error(result, "cannot be reached", "network", "apt.log")


def test_a_package_that_the_archive_lacks_is_named(machine):
    machine.fake("dpkg-query", "exit 1")
    result = machine.setup(FAKE_APT_ERROR="E: Unable to locate package ros-base")
    assert_one_error(result, "Unable to locate package ros-base", "Debian 12")


def test_no_network_for_python_packages(machine):
    result = machine.setup(FAKE_PIP_ERROR="NewConnectionError: Failed to establish a new connection")
    assert_one_error(result, "cannot be reached", "network", "pip.log")


def test_wrong_python(machine):
    machine.fake("python", "echo 3.6")
    assert_one_error(machine.setup(), "is Python 3.6", "3.11", "3.8")


def test_no_disk_space(machine):
    assert_one_error(machine.setup(SETUP_NEEDS_MB="999999999"), "not enough disk space", "999999999 MB needed")
    assert machine.called() == []


def test_another_linux_is_refused(machine):
    for name in ("bash", "cat", "dirname", "env", "flock", "id", "mkdir"):
        if not (machine.bin / name).exists():
            (machine.bin / name).symlink_to(shutil.which(name))
    (machine.bin / "apt-get").unlink()
    assert_one_error(machine.setup(PATH=str(machine.bin)), "apt-get is not there", "Debian 12")


def test_a_sourced_ros_2_is_refused(machine):
    assert_one_error(machine.setup(ROS_VERSION="2"), "ROS 2", "fresh shell")


def test_a_path_with_a_space_is_refused(tmp_path):
    assert_one_error(Machine(tmp_path / "my code").setup(), "contains a space")


@pytest.mark.skipif(os.getuid() == 0, reason="root writes anywhere")
def test_a_checkout_that_is_not_writable(machine):
    machine.checkout.chmod(0o555)
    try:
        assert_one_error(machine.setup(), "not writable")
    finally:
        machine.checkout.chmod(0o755)


def test_an_installed_noetic_is_used(machine, tmp_path):
    prefix = tmp_path / "noetic"
    for package in ("rospy", "roslaunch", "catkin"):
        (prefix / "share" / package).mkdir(parents=True)
        (prefix / "share" / package / "package.xml").touch()
    machine.setup(SETUP_ROS_PREFIX=str(prefix))
    installed = machine.called()[-3]
    assert "ros-noetic-cv-bridge" in installed
    assert "ros-noetic-rospy" not in installed
    assert "ros-base" not in installed


@pytest.mark.skipif(shutil.which("rosrun") is None, reason="rosrun is not installed")
@pytest.mark.parametrize("command", ["simulate", "report", "experiments"])
def test_rosrun_finds_each_command_once(command):
    """It searches the whole package, so the checkout's own workspace must not lie within that."""
    found = subprocess.run(
        ["rosrun", "--prefix", "echo", "grasp_learning", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert found.returncode == 0, found.stdout
    assert found.stdout.split() == [str(ROOT / ".ws" / "devel" / "lib" / "grasp_learning" / command)]
