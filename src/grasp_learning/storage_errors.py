"""What can be wrong with a collection's folder, and what to do about it."""

import contextlib
import errno
import json
from pathlib import Path
from typing import Any, Iterator, Type

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class CollectionError(Exception):
    """A collection cannot be used; the message names the folder, the reason and the remedy."""


class NotWritableError(CollectionError):
    """The folder cannot be written to."""


class NotReadableError(CollectionError):
    """A file of the collection cannot be read, though it is there."""


class DiskFullError(CollectionError):
    """There is not enough room on the disk."""


class NotACollectionError(CollectionError):
    """The folder holds something else, or nothing where a collection is expected."""


class WrongCollectionError(CollectionError):
    """The folder holds another kind of collection than the one that is being started."""


class MalformedCollectionError(CollectionError):
    """A file of the collection is damaged; the message names the file and the line or key."""


class CollectionInUseError(CollectionError):
    """Another process is writing into the folder."""


class PictureError(Exception):
    """A trial's pictures cannot be read, or one that is wanted is not among them; the message names the file."""


@contextlib.contextmanager
def explained(folder: Path):
    """Turn the system's errors into CollectionErrors that say what to do."""
    try:
        yield
    except OSError as error:
        name = f" ({error.filename})" if error.filename and str(error.filename) != str(folder) else ""
        reason = f"{folder}: {error.strerror}{name}"
        if error.errno in FULL:
            raise DiskFullError(f"{reason}; free some space or choose another folder") from error
        if error.errno in FORBIDDEN:
            raise NotWritableError(f"{reason}; make it writable for this user or choose another folder") from error
        raise CollectionError(f"{reason}; choose another folder") from error


@contextlib.contextmanager
def explained_as(folder: Path, kind: Type[Exception]) -> Iterator[None]:
    """Turn the system's errors, as :func:`explained` words them, and CollectionErrors into another kind of error."""
    try:
        with explained(folder):
            yield
    except CollectionError as error:
        raise kind(str(error)) from error


def read_json(path: Path, kind: Type[Exception], remedy: str) -> Any:
    """Contents of a JSON file.

    Args:
        remedy: what to do where it is damaged.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        kind: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise kind(f"{path}: cannot be read ({error.strerror}); make it readable for this user") from None
    except ValueError as error:
        raise kind(f"{path}: is not JSON ({error}); {remedy}") from None


@contextlib.contextmanager
def readable(path: Path):
    """Turn the system's errors while a file is read into NotReadableErrors; FileNotFoundError stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotReadableError(
            f"{path}: cannot be read ({error.strerror}); make it readable for this user, or choose another folder"
        ) from error
