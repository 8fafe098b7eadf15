"""One trial as the contents of a rosbag, written from serialised messages."""

import io
from typing import Iterable, List, Mapping, NamedTuple

import genpy
import rosbag

COMPRESSIONS = ("lz4", "bz2", "none")


class Channel(NamedTuple):
    """A topic and its message type, as a bag's connection record wants them."""

    topic: str
    type: str
    md5sum: str
    definition: str

    @classmethod
    def of_connection(cls, topic: str, header: Mapping[str, str]) -> "Channel":
        """Channel of a subscriber's connection header, so that the type need not be installed here."""
        return cls(topic, header["type"], header["md5sum"], header["message_definition"])

    @classmethod
    def of_message(cls, topic: str, message: genpy.Message) -> "Channel":
        """Channel of a message object."""
        return cls(topic, message._type, message._md5sum, message._full_text)


class Entry(NamedTuple):
    """A message in a bag: where, when (ns), what."""

    channel: Channel
    stamp: int
    data: bytes


def entry_of(topic: str, stamp: int, message: genpy.Message) -> Entry:
    """Entry of a message object."""
    buffer = io.BytesIO()
    message.serialize(buffer)
    return Entry(Channel.of_message(topic, message), stamp, buffer.getvalue())


class _File(io.BytesIO):
    """What rosbag needs of a file; keeps its contents when it is closed."""

    mode = "w+b"
    contents = b""

    def close(self) -> None:
        self.contents = self.contents if self.closed else self.getvalue()
        super().close()


def bag_bytes(entries: Iterable[Entry], compression: str = "lz4") -> bytes:
    """Contents of a bag with the entries, in the order of their times.

    It is built in memory, so that writing it is one call that succeeds or fails as a whole.

    Args:
        compression: "lz4", "bz2" or "none".
    """
    file = _File()
    classes = {}
    ordered: List[Entry] = sorted(entries, key=lambda entry: entry.stamp)
    with rosbag.Bag(file, "w", compression=compression) as bag:
        for channel, stamp, data in ordered:
            if channel.topic not in classes:
                classes[channel.topic] = _message_class(channel)
            time = genpy.Time(stamp // 10**9, stamp % 10**9)
            message = (channel.type, data, channel.md5sum, classes[channel.topic])
            bag.write(channel.topic, message, time, raw=True)
    return file.contents


def _message_class(channel: Channel) -> type:
    """What rosbag reads of a message class, made from what the publisher said of its type."""
    return type("RawMessage", (), {"_md5sum": channel.md5sum, "_full_text": channel.definition})
