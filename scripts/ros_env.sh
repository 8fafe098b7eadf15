# Sourced by the scripts that start a ROS graph: loopback only, a free master port, logs in the checkout.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

export ROS_IP=127.0.0.1
unset ROS_HOSTNAME
ROS_MASTER_URI=http://127.0.0.1:$(free_port)
export ROS_MASTER_URI
export ROS_HOME=$ROOT/.cache/ros
export ROS_LOG_DIR=$ROS_HOME/log
mkdir -p "$ROS_LOG_DIR"
