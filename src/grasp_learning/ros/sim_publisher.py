"""Publishers for a loop that must neither wait for a slow listener nor pay for a thread for each of them."""

import socket
import warnings

import rospy

# s of wall time; a listener that takes nothing for so long is disconnected. Long, because rospy's listeners do not
# come back, and one that computes may well be deaf for a second.
SEND_PATIENCE = 10.0
# Bytes; as little as this may wait for a slow listener, so that it slows the simulation down instead of lagging behind.
SEND_BUFFER = 64 * 1024


class _Impatience(rospy.SubscribeListener):
    """Limits how long a listener may block the publisher: one that hangs must not stop the robot."""

    def __init__(self):
        self.publisher = None

    def peer_subscribe(self, topic_name, topic_publish, peer_publish) -> None:
        for connection in list(self.publisher.impl.connections):
            link = getattr(connection, "socket", None)
            if link is not None:
                link.settimeout(SEND_PATIENCE)
                link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


def direct_publisher(topic: str, message: type, latch: bool = False) -> rospy.Publisher:
    """A publisher that sends in the calling thread, so that a message may be filled again afterwards.

    rospy's queues start a thread for each listener, which costs more than sending some hundred bytes.
    """
    impatience = _Impatience()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # rospy's advice to use a queue
        publisher = rospy.Publisher(topic, message, impatience, tcp_nodelay=True, latch=latch)
    impatience.publisher = publisher
    return publisher


def to_stamp(seconds: float) -> rospy.Time:
    """Simulated time as a stamp, to the microsecond: sums of time steps are not exact."""
    return rospy.Time(0, round(seconds * 1e6) * 1000)
