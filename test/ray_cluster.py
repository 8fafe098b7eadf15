"""A Ray cluster of two nodes on this machine, bound to loopback, that reports nothing to anybody.

As a program it runs the cluster in a process of its own, whose commands are lines of its input, and ends with it.
"""

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time

import psutil

ENVIRONMENT = {
    # without this Ray looks up the machine's address in the network, and binds to it
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # a driver that lost its cluster gives up after so many seconds
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3",
    "OMP_NUM_THREADS": "1",
}
PATIENCE = 60.0  # s
PR_SET_CHILD_SUBREAPER = 36


class RayCluster:
    """Use as a context manager.

    Attributes:
        address: HOST:PORT of its head.
    """

    def __init__(self, **environment):
        self._environment = environment

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ray")  # sockets need a short path
        self.environment = {**ENVIRONMENT, "RAY_TMPDIR": self._folder.name}
        paths = os.pathsep.join(path for path in sys.path if path)
        self._popen = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": paths, **self.environment, **self._environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self.address = json.loads(self._answer())["address"]
        except ValueError:
            self.__exit__()
            raise RuntimeError("no Ray cluster could be started") from None
        return self

    def __exit__(self, *_):
        self._popen.stdin.close()
        try:
            self._popen.wait(PATIENCE)
        finally:
            self._popen.kill()
            self._popen.stdout.close()
            self._folder.cleanup()

    def tell(self, command):
        """kill: the second node; add: a node; behead: the head's own service."""
        self._popen.stdin.write(f"{command}\n")
        self._popen.stdin.flush()
        return self._answer()

    def _answer(self):
        for line in self._popen.stdout:
            if line.startswith("{"):
                return line
        return ""


def main():
    from ray.cluster_utils import Cluster

    # agents of a node that was killed live on for up to a minute; as our children they can be found in the end
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    options = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    nodes = [cluster.add_node(wait=False, **options)]
    print(json.dumps({"address": cluster.address}), flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        elif line.strip() == "add":
            nodes.append(cluster.add_node(wait=False, **options))
        elif line.strip() == "behead":
            cluster.head_node.kill_gcs_server(check_alive=False)
        print("{}", flush=True)
    cluster.shutdown()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def wait_until(condition, patience=PATIENCE):
    give_up = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


if __name__ == "__main__":
    main()
