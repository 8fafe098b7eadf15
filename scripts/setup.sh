#!/usr/bin/env bash
# From a bare Debian 12 to a workspace that is ready to run: ROS 1, a virtual environment, the built catkin workspace.
#
#   bash scripts/setup.sh          then:  source .ws/env.sh
#
# It can be run again at any time, also after it was killed: each part leaves a stamp (a hash of all it was made from)
# as its very last act, and a part whose stamp fits is skipped.
#
# Environment:
#   PYTHON            the interpreter ROS belongs to (default /usr/bin/python3)
#   SETUP_ROS_PREFIX  an installed ROS Noetic to use instead of Debian's packages (default /opt/ros/noetic, if it is there)
#   SETUP_SDK         a built catkin workspace that has Rethink's baxter_core_msgs and baxter_interface, to use them in
#                     place of the stand-ins in sdk/; it is remembered, and an empty SETUP_SDK= forgets it
#   SETUP_NEEDS_MB    free disk space that is asked for before anything is installed (default 12000, which torch's CUDA
#                     build takes with pip's cache of it; 6000 are enough where pip takes a CPU build)
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
PYTHON=${PYTHON:-/usr/bin/python3}
ROS_PREFIX=${SETUP_ROS_PREFIX:-/opt/ros/noetic}
NEEDS_MB=${SETUP_NEEDS_MB:-12000}
VENV=$ROOT/.venv
WS=$ROOT/.ws
LOGS=$ROOT/.cache/setup
SDK=${SETUP_SDK-$(cat "$LOGS/sdk" 2>/dev/null || true)}
case $SDK in
  "" | /*) ;;
  *) SDK=$PWD/$SDK ;;
esac

# What the package imports or starts, from Debian's own archive. The -dev packages carry CMake's view of the messages.
DEBIAN_PACKAGES="
  g++ make cmake python3 python3-venv
  ros-base ros-robot catkin rosbash ros-message-generation ros-message-runtime
  ros-actionlib-msgs ros-diagnostic-msgs ros-geometry-msgs ros-sensor-msgs ros-std-msgs ros-std-srvs ros-trajectory-msgs
  libactionlib-msgs-dev libdiagnostic-msgs-dev libgeometry-msgs-dev libsensor-msgs-dev libstd-msgs-dev libstd-srvs-dev
  libtrajectory-msgs-dev
  python3-actionlib python3-cv-bridge python3-rosbag python3-roslaunch python3-rospy python3-rostest python3-tf2-ros
  python3-actionlib-msgs python3-diagnostic-msgs python3-geometry-msgs python3-rosgraph-msgs python3-sensor-msgs
  python3-std-msgs python3-std-srvs python3-trajectory-msgs
  ros-robot-state-publisher
  sdformat-sdf
  libegl1 libosmesa6 libgl1 libgl1-mesa-dri libglib2.0-0"
# The same for an installed ROS Noetic: names of ROS packages, then Ubuntu packages.
NOETIC_PACKAGES="
  actionlib actionlib_msgs catkin cv_bridge diagnostic_msgs message_generation message_runtime robot_state_publisher
  rosbag rosbash roslaunch rospy rostest sensor_msgs std_srvs tf2_ros trajectory_msgs"
UBUNTU_PACKAGES="g++ make cmake python3-venv libegl1 libosmesa6 libgl1 libgl1-mesa-dri libglib2.0-0"

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: ERROR: %s\n' "$*" >&2
  exit 1
}

# --- checks that cost nothing ------------------------------------------------------------------------------------

check_place() {
  case $ROOT in
    *[[:space:]]*) fail "the checkout's path '$ROOT' contains a space, which catkin cannot build; move it and try again" ;;
  esac
  mkdir -p "$LOGS" 2>/dev/null || fail "$ROOT is not writable for user $(id -un)"
  [ -w "$ROOT" ] || fail "$ROOT is not writable for user $(id -un)"
  if [ "${ROS_VERSION:-1}" = 2 ]; then
    fail "a ROS 2 environment is sourced in this shell; this package is for ROS 1, so open a fresh shell and try again"
  fi
}

check_disk() {
  local free_mb
  free_mb=$(df -Pk "$ROOT" | awk 'NR == 2 {print int($4 / 1024)}')
  [ "$free_mb" -ge "$NEEDS_MB" ] ||
    fail "not enough disk space under $ROOT: $free_mb MB free, $NEEDS_MB MB needed (ROS, Python packages with torch's CUDA build); SETUP_NEEDS_MB=6000 is enough for a CPU build of torch"
}

check_python() {
  [ -x "$PYTHON" ] || fail "$PYTHON is not there; ROS uses the system's Python 3, name it with PYTHON=/path/to/python3"
  local version
  version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "$PYTHON does not run"
  case $version in
    3.8 | 3.11) ;;
    *) fail "$PYTHON is Python $version; ROS 1 needs the system's own: 3.11 (Debian 12) or 3.8 (Ubuntu 20.04)" ;;
  esac
}

# --- system packages ---------------------------------------------------------------------------------------------

missing_debs() { # prints those of its arguments that are not installed
  local have
  have=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | awk '$1 == "ii" {print $2}' || true)
  printf '%s\n' "$@" | grep -vxF "${have:-none}" || true
}

wanted_debs() {
  if [ ! -d "$ROS_PREFIX" ]; then
    # shellcheck disable=SC2086
    missing_debs $DEBIAN_PACKAGES
    return
  fi
  # shellcheck disable=SC2086
  missing_debs $UBUNTU_PACKAGES
  local package
  for package in $NOETIC_PACKAGES; do
    [ -e "$ROS_PREFIX/share/$package/package.xml" ] || printf 'ros-noetic-%s\n' "${package//_/-}"
  done
}

explain_apt() { # one line for what went wrong, from apt's own words
  local log=$1
  if grep -qE 'No space left' "$log"; then
    echo "the disk ran full while packages were installed"
  elif grep -qE 'Could not resolve|Temporary failure|Could not connect|Network is unreachable|Failed to fetch' "$log"; then
    echo "the package server cannot be reached; check the network (and /etc/apt/sources.list)"
  elif grep -qE 'Unable to locate package|has no installation candidate' "$log"; then
    echo "this system's archive lacks a package ($(grep -oE 'Unable to locate package [^ ]+|Package .* has no installation candidate' "$log" |
      head -1)); Debian 12, or Ubuntu 20.04 with ROS Noetic's package source, is needed"
  elif grep -qE 'Could not get lock' "$log"; then
    echo "another package manager is running; wait for it to finish"
  else
    echo "apt-get failed: $(grep -E '^E:' "$log" | head -1)"
  fi
}

install_system() {
  local wanted as_root="" log=$LOGS/apt.log
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    fail "apt-get is not there; the set-up knows Debian 12 and Ubuntu 20.04 (with ROS Noetic) only"
  wanted=$(wanted_debs)
  [ -n "$wanted" ] || return 0
  # shellcheck disable=SC2086
  set -- $wanted
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      fail "$# system packages are missing and neither root nor sudo is available; ask an administrator to run: apt-get install --no-install-recommends $*"
    as_root="sudo"
    [ -t 0 ] || as_root="sudo -n"
  fi
  check_disk
  say "installing $# system packages with apt-get (log: $log)"
  # shellcheck disable=SC2086
  {
    # A run that was killed may have left dpkg half way; finishing that is a no-op otherwise.
    $as_root env DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a
    # Somebody else's broken package source must not stop us here: what counts is whether the install works.
    $as_root apt-get -o DPkg::Lock::Timeout=120 update || true
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"
  } >"$log" 2>&1 </dev/null || fail "$(explain_apt "$log") (log: $log)"
}

# --- the virtual environment -------------------------------------------------------------------------------------

explain_pip() {
  local log=$1
  if grep -qE 'No space left' "$log"; then
    echo "the disk ran full while Python packages were installed"
  elif grep -qE 'Temporary failure in name resolution|Failed to establish a new connection|Max retries exceeded|Network is unreachable|ConnectTimeout' "$log"; then
    echo "the Python package index cannot be reached; check the network (and your pip configuration)"
  else
    echo "pip failed: $(grep -E '^ERROR' "$log" | tail -1)"
  fi
}

install_python() {
  local want log=$LOGS/pip.log stamp=$VENV/.stamp
  want=$(printf '%s\n' "$ROOT" "$("$PYTHON" -V)" | cat - requirements.txt requirements-ray.txt requirements-dev.txt constraints.txt | sha256sum)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
    return
  fi
  check_disk
  say "installing Python packages into .venv (log: $log)"
  # Always from scratch: a half-made environment of a killed run is not worth mending, and pip keeps its downloads.
  rm -rf "$VENV"
  "$PYTHON" -m venv --system-site-packages "$VENV" >"$log" 2>&1 ||
    fail "no virtual environment could be made with $PYTHON (log: $log)"
  "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input \
    -r requirements.txt -r requirements-ray.txt -r requirements-dev.txt -c constraints.txt >>"$log" 2>&1 </dev/null ||
    fail "$(explain_pip "$log") (log: $log)"
  "$VENV/bin/python" -c 'import rospy, cv_bridge, numpy, cv2, mujoco, pyarrow, torch' >>"$log" 2>&1 ||
    fail "ROS or a Python package cannot be imported from .venv: $(tail -1 "$log") (log: $log)"
  printf '%s\n' "$want" >"$stamp"
}

# --- the catkin workspace ----------------------------------------------------------------------------------------

has_sdk() { # is Rethink's own package $1 there? (our stand-ins in .ws do not count)
  local found
  found=$(rospack find "$1" 2>/dev/null || true)
  case $found in
    "$WS"/* | "$ROOT"/sdk/*) found="" ;;
  esac
  [ -n "$found" ]
}

use_sdk() { # the environment of the workspace that SETUP_SDK names, now or in an earlier run
  local where package setup=""
  [ -n "$SDK" ] || return 0
  for where in devel install .; do
    [ -n "$setup" ] || [ ! -e "$SDK/$where/setup.bash" ] || setup=$SDK/$where/setup.bash
  done
  [ -n "$setup" ] ||
    fail "SETUP_SDK: $SDK is no built catkin workspace: it has neither devel/setup.bash nor install/setup.bash; build it, name another, or use the stand-ins again with an empty SETUP_SDK="
  set +u
  # shellcheck disable=SC1090
  . "$setup"
  set -u
  for package in baxter_core_msgs baxter_interface; do
    has_sdk "$package" || fail "SETUP_SDK: the workspace $SDK has no package $package; docs/sdk.md tells what it needs"
  done
}

check_sdk() { # can Rethink's packages be imported? (only those that are not in $STAND_INS)
  local package log=$LOGS/sdk.log
  for package in baxter_core_msgs baxter_interface; do
    case " $STAND_INS " in
      *" $package "*) continue ;;
    esac
    "$VENV/bin/python" -c "import $package" >"$log" 2>&1 && continue
    if grep -q SyntaxError "$log"; then
      fail "the installed $package is written for Python 2; docs/sdk.md names one for Python 3 (log: $log)"
    fi
    fail "the installed $package cannot be imported: $(tail -1 "$log"); is its workspace built? (log: $log)"
  done
}

without_ours() { # a search path without this checkout's own workspace, which may be sourced in the caller's shell
  printf '%s' "${1:-}" | tr ':' '\n' | grep -vE "^$ROOT(/|\$)" | paste -sd: - || true
}

use_ros() {
  CMAKE_PREFIX_PATH=$(without_ours "${CMAKE_PREFIX_PATH:-}")
  ROS_PACKAGE_PATH=$(without_ours "${ROS_PACKAGE_PATH:-}")
  PYTHONPATH=$(without_ours "${PYTHONPATH:-}")
  export CMAKE_PREFIX_PATH ROS_PACKAGE_PATH PYTHONPATH PYTHONNOUSERSITE=1
  if [ -e "$ROS_PREFIX/setup.bash" ] && [ -z "$CMAKE_PREFIX_PATH" ]; then
    set +u
    # shellcheck disable=SC1091
    . "$ROS_PREFIX/setup.bash"
    set -u
  fi
  use_sdk
}

sources_hash() { # everything that needs a new build: interfaces, build files, names of nodes; Python code does not
  {
    printf '%s\n' "$ROOT" "$CMAKE_PREFIX_PATH" "$STAND_INS" "$(cat "$VENV/.stamp")"
    ls nodes
    find CMakeLists.txt package.xml setup.py scripts/setup.sh msg srv action sdk -type f ! -name '*.py[co]' \
      ! -path '*/test/*' -print0 | sort -z | xargs -0 sha256sum
  } | sha256sum
}

# Not the checkout itself: rosrun searches the whole package for executables, and would meet those in $WS again.
PACKAGE_ENTRIES="action config launch models msg nodes src srv test urdf CMakeLists.txt package.xml setup.py"

link_package() {
  local entry
  mkdir "$WS/src/grasp_learning"
  for entry in $PACKAGE_ENTRIES; do
    [ ! -e "$ROOT/$entry" ] || ln -s "$ROOT/$entry" "$WS/src/grasp_learning/$entry"
  done
}

write_env() {
  cat >"$WS/env.sh" <<EOF
# Made by scripts/setup.sh; source it in bash or zsh: then rosrun, roslaunch and python know this package.
. "$VENV/bin/activate"
_CATKIN_SETUP_DIR="$WS/devel"
. "$WS/devel/setup.sh"
# The environment has the system's packages after its own. A workspace that was built with /usr in its path puts them first.
PYTHONPATH=\$(printf %s ":\$PYTHONPATH:" | sed -e 's#:/usr/lib/python3/dist-packages:#:#g' -e 's#^:*##' -e 's#:*\$##')
export PYTHONPATH
EOF
}

build_workspace() {
  local want log=$LOGS/catkin.log stamp=$WS/.stamp package
  STAND_INS=""
  for package in baxter_core_msgs baxter_interface; do
    has_sdk "$package" || STAND_INS="$STAND_INS $package"
  done
  want=$(sources_hash)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
    return
  fi
  check_sdk
  check_disk
  if [ -n "$STAND_INS" ]; then
    say "no installed Baxter SDK for:$STAND_INS; using the stand-ins in sdk/"
  else
    say "using the installed Baxter SDK${SDK:+ in $SDK}"
  fi
  say "building the workspace .ws (log: $log)"
  rm -rf "$WS"
  mkdir -p "$WS/src"
  link_package
  for package in $STAND_INS; do
    ln -s "$ROOT/sdk/$package" "$WS/src/$package"
  done
  # Nodes get the virtual environment's Python as their interpreter; only Python messages are needed.
  ROS_LANG_DISABLE=gencpp:geneus:genlisp:gennodejs catkin_make -C "$WS" -j"$(nproc)" \
    -DPYTHON_EXECUTABLE="$VENV/bin/python" -DCMAKE_BUILD_TYPE=Release >"$log" 2>&1 </dev/null ||
    fail "the workspace does not build: $(grep -m1 -E 'Error|error:' "$log" || tail -1 "$log") (log: $log)"
  write_env
  printf '%s\n' "$want" >"$stamp"
}

main() {
  cd "$ROOT"
  check_place
  # One set-up at a time in a checkout; the lock goes with the process that holds it.
  exec 9>"$LOGS/lock"
  flock -w 1800 9 || fail "another set-up of $ROOT has been running for half an hour; stop it and try again"
  [ ! -e "$PYTHON" ] || check_python
  install_system
  check_python
  use_ros
  install_python
  build_workspace
  printf '%s\n' "$SDK" >"$LOGS/sdk"
  say "ready; next: source .ws/env.sh"
}

main "$@"
