#!/usr/bin/env bash
# Records grasp trials of the simulated Baxter and checks that they are on disk. Needs .ws/env.sh sourced.
#
#   scripts/demo.sh TRIALS DATA SEED
set -euo pipefail

TRIALS=$1
DATA=$2
SEED=$3
. "$(dirname "${BASH_SOURCE[0]}")/ros_env.sh"

fail() {
  printf 'demo: ERROR: %s\n' "$*" >&2
  exit 1
}

count_trials() { # finished trials of the collection, one line each
  if [ -f "$DATA/trials.jsonl" ]; then wc -l <"$DATA/trials.jsonl"; else echo 0; fi
}

[[ $TRIALS =~ ^[1-9][0-9]*$ ]] || fail "TRIALS is '$TRIALS'; a whole number above 0 is needed"
[[ $SEED =~ ^[0-9]+$ ]] || fail "SEED is '$SEED'; a whole number, 0 or above, is needed"
[ -n "$DATA" ] || fail "DATA is empty; the folder of the collection is needed"
[[ $DATA = /* ]] || DATA=$ROOT/$DATA

before=$(count_trials)
if [ "$before" -gt 0 ]; then
  echo "demo: $DATA holds $before trials already; $TRIALS more are added to it"
else
  echo "demo: recording $TRIALS trials into $DATA"
fi
# Ctrl-C reaches roslaunch too, which ends the collection cleanly; here it only must not end this script first.
interrupted=""
trap 'interrupted=yes' INT
status=0
roslaunch --no-summary grasp_learning collect_random.launch \
  robot:=sim "trials:=$TRIALS" "data:=$DATA" "seed:=$SEED" speed:=max || status=$?
trap - INT
after=$(count_trials)
if [ -n "$interrupted" ]; then
  echo "demo: interrupted; $((after - before)) trials were recorded in $DATA"
  exit 130
fi
# roslaunch's status tells of a launch file that it cannot read, but is 0 however the collection ended: that is
# told by what lies on the disk.
[ "$status" -eq 0 ] || fail "the launch ended with status $status (logs: $ROS_LOG_DIR)"
[ "$((after - before))" -ge "$TRIALS" ] ||
  fail "only $((after - before)) of $TRIALS trials were recorded in $DATA (logs: $ROS_LOG_DIR)"
[ -s "$DATA/contact_sheet.png" ] || fail "$DATA/contact_sheet.png was not written (logs: $ROS_LOG_DIR)"
cat <<EOF
demo: $((after - before)) trials recorded, $after in all
  picture     $DATA/contact_sheet.png   (each trial's patch and grasp; the colour is the label)
  trials      $DATA/trials.jsonl        (one line a trial)
  bags        $DATA/bags/               (rosbag info $DATA/bags/*.bag)
next: 'make demo' again adds trials to this collection; docs/collect.md tells more
EOF
