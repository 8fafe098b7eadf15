"""Stand-in for Rethink's ``baxter_dataflow``: the waits and signals of the SDK, same names and behaviour."""

from baxter_dataflow.signals import Signal
from baxter_dataflow.waits import wait_for

__all__ = ["Signal", "wait_for"]
