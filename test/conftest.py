"""What all unit tests start with."""

import signal

# A test run in the background of a shell begins with Ctrl-C ignored, and so would every program that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
