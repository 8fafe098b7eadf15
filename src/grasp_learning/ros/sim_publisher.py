"""Publishers for a loop that must neither wait for a slow listener nor pay for a thread for each of them."""

import warnings

import rospy

SEND_PATIENCE = 1.0  # s of wall time; a listener that takes nothing for so long is disconnected


class _Impatience(rospy.SubscribeListener):
    """Limits how long a listener may block the publisher: one that hangs must not stop the robot."""

    def __init__(self):
        self.publisher = None

    def peer_subscribe(self, topic_name, topic_publish, peer_publish) -> None:
        for connection in list(self.publisher.impl.connections):
            socket = getattr(connection, "socket", None)
            if socket is not None:
                socket.settimeout(SEND_PATIENCE)


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
