"""Reading the pictures of a trial's bag without ROS."""

import struct
from pathlib import Path
from typing import Any, List, Sequence

import cv2
import numpy as np
from rosbags.rosbag1 import Reader, ReaderError
from rosbags.typesys import Stores, get_typestore

from grasp_learning.storage_errors import PictureError

# what rosbags and its decompressors raise for bytes that are no bag, besides their own error
_DAMAGED = (ReaderError, OSError, ValueError, AssertionError, RuntimeError, LookupError, EOFError, struct.error)
# made once: a store compiles a reader for each message type, which takes longer than reading a bag
_TYPES = get_typestore(Stores.ROS1_NOETIC)

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_TAIL = 64  # bytes; some cameras pad

APPROACH_TOPIC = "/cameras/{arm}_hand_camera/approach/compressed"


class BagError(PictureError):
    """A bag cannot be read, or lacks what is wanted of it; the message names the bag."""


def first_messages(path, topics: Sequence[str]) -> List[Any]:
    """The first message of each topic; nothing else of the bag is decoded.

    Args:
        topics: with messages of types that ROS Noetic's own packages define.

    Raises:
        BagError: the bag cannot be read, or has no message on one of them.
    """
    messages = []
    try:
        with Reader(Path(path)) as bag:
            for topic in topics:
                connections = [item for item in bag.connections if item.topic == topic]
                if not connections or not any(item.msgcount for item in connections):
                    raise BagError(f"{path}: holds no message on {topic}")
                _, _, raw = next(iter(bag.messages(connections=connections)))
                messages.append(_TYPES.deserialize_ros1(raw, connections[0].msgtype))
    except _DAMAGED as error:
        raise BagError(f"{path}: cannot be read ({error})") from error
    return messages


def decode_picture(data, name: str) -> np.ndarray:
    """A compressed picture as (height, width, 3) uint8, BGR.

    Args:
        data: JPEG or PNG, as bytes or an array of them.
        name: of the picture, for the error.

    Raises:
        BagError: it cannot be decoded.
    """
    array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.asarray(data)
    start, end = array[:2].tobytes(), array[-_JPEG_TAIL:].tobytes()
    if start == _JPEG_START and _JPEG_END not in end:  # some versions of OpenCV fill what is missing with grey
        raise BagError(f"{name} is a JPEG that was cut off")
    picture = cv2.imdecode(array, cv2.IMREAD_COLOR) if len(array) else None
    if picture is None:
        raise BagError(f"{name} is no picture that OpenCV can decode")
    return picture


def read_picture(path, topic: str) -> np.ndarray:
    """The first picture of a topic with compressed images.

    Returns:
        (height, width, 3) uint8, BGR.

    Raises:
        BagError: the bag cannot be read, has no such picture, or the picture cannot be decoded.
    """
    return decode_picture(first_messages(path, [topic])[0].data, f"{path}: the picture on {topic}")
