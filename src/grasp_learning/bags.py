"""Reading the pictures of a trial's bag without ROS."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Reader, ReaderError
from rosbags.typesys import Stores, get_typestore

APPROACH_TOPIC = "/cameras/{arm}_hand_camera/approach/compressed"


class BagError(Exception):
    """A bag cannot be read, or lacks what is wanted of it; the message names the bag."""


def read_picture(path, topic: str) -> np.ndarray:
    """The first picture of a topic with compressed images.

    Returns:
        (height, width, 3) uint8, BGR.

    Raises:
        BagError: the bag cannot be read, has no such picture, or the picture cannot be decoded.
    """
    try:
        with Reader(Path(path)) as bag:
            connections = [item for item in bag.connections if item.topic == topic]
            raw = next((data for _, _, data in bag.messages(connections=connections)), None) if connections else None
    except (ReaderError, OSError) as error:
        raise BagError(f"{path}: cannot be read ({error})") from error
    if raw is None:
        raise BagError(f"{path}: holds no message on {topic}")
    message: Any = get_typestore(Stores.ROS1_NOETIC).deserialize_ros1(raw, "sensor_msgs/msg/CompressedImage")
    picture = cv2.imdecode(np.asarray(message.data), cv2.IMREAD_COLOR)
    if picture is None:
        raise BagError(f"{path}: the picture on {topic} is no picture that OpenCV can decode")
    return picture
