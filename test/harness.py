"""Runs a launch file as a user does, and lets a test look at it, talk to it and kill parts of it."""

import json
import os
import signal
import socket
import subprocess
import time
import xmlrpc.client
from pathlib import Path
from typing import Callable, List, Optional


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Wait for a condition; fails the test with what was waited for."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout:g} s: {what}"
        time.sleep(0.05)


class Launch:
    """A running roslaunch with its own master.

    Args:
        arguments: as typed after ``roslaunch grasp_learning``.
        folder: for the log and for ROS's own logs.
        beside: a running launch whose master this one uses.
    """

    def __init__(self, arguments: List[str], folder: Path, beside: Optional["Launch"] = None):
        self.port = free_port() if beside is None else beside.port
        self.log = folder / f"roslaunch_{free_port()}.log"
        self.environment = dict(
            os.environ,
            ROS_MASTER_URI=f"http://127.0.0.1:{self.port}",
            ROS_IP="127.0.0.1",
            ROS_HOME=str(folder / "ros"),
            PYTHONUNBUFFERED="1",
        )
        self.environment.pop("ROS_HOSTNAME", None)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["roslaunch", "--no-summary", "-p", str(self.port), "grasp_learning", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What was printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout: float) -> None:
        """Wait for the end. roslaunch's exit code is 0 however its required node ended: look at the output instead."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s; it printed:\n{self.output[-4000:]}") from None

    def assert_running(self) -> None:
        """Fail the test with what was printed, if the launch has ended."""
        assert self.process.poll() is None, f"the launch has ended; it printed:\n{self.output[-4000:]}"

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def node_pid(self, name: str) -> Optional[int]:
        """Process id of a node, None while it is not up."""
        try:
            code, _, uri = xmlrpc.client.ServerProxy(self.environment["ROS_MASTER_URI"]).lookupNode("/test", name)
            if code != 1:
                return None
            return xmlrpc.client.ServerProxy(uri).getPid("/test")[2]
        except OSError:
            return None

    def kill_node(self, name: str) -> int:
        """Kill (-9) a node; the process id that it had."""
        wait_until(lambda: self.node_pid(name), 20, f"node {name} is up")
        pid = self.node_pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_message(self, topic: str, timeout: float) -> None:
        """Wait for the next message on a topic."""
        command = ["rostopic", "echo", "-n", "1", topic]
        subprocess.run(command, env=self.environment, stdout=subprocess.DEVNULL, timeout=timeout, check=True)

    def call(self, service: str, request: str = "{}", timeout: float = 20) -> str:
        """``rosservice call``; what it printed."""
        done = subprocess.run(
            ["rosservice", "call", service, request],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"rosservice call {service}: {done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """End whatever still runs."""
        if self.process.poll() is None:
            self.interrupt()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)


def lines_of(path: Path) -> List[dict]:
    """Objects of a file of JSON lines; empty where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
