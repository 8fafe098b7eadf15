"""Under which conditions a robot test was made: ``conditions.yaml`` beside collection.yaml.

A collection that was made in the usual way (clutter, objects put back, no re-ranking) has no such file. Tests that were
made otherwise must not end up in the same folder, or their grasp rates would be mixed.
"""

from pathlib import Path

import yaml
from pydantic import Field

from grasp_learning.config import ConfigError, Settings, load_settings
from grasp_learning.durable import write_atomically
from grasp_learning.storage_errors import MalformedCollectionError, WrongCollectionError, explained

CONDITIONS_FILE = "conditions.yaml"


class Conditions(Settings):
    """Contents of conditions.yaml; the defaults are those of a usual collection.

    Attributes:
        clearing: tables are cleared one after the other.
        place_held: what is held goes into a bin.
        isolate: each try finds another object alone.
        rerank: the best grasps are re-ranked by their neighbourhoods.
        vary_after: on a table that is cleared, tries in a row that held nothing at a place, after which every
            second one there is drawn; 0: never.
    """

    clearing: bool = False
    place_held: bool = False
    isolate: bool = False
    rerank: bool = False
    vary_after: int = Field(0, ge=0)


def load_conditions(folder) -> Conditions:
    """Conditions of a collection; the usual ones where it has no file of them.

    Raises:
        CollectionError: the file is malformed.
    """
    path = Path(folder) / CONDITIONS_FILE
    if not path.exists():
        return Conditions()
    try:
        return load_settings(Conditions, path)
    except ConfigError as error:
        raise MalformedCollectionError(f"{error}; repair it, or choose another folder") from None


def check_conditions(folder, wanted: Conditions, holds_trials: bool) -> None:
    """Raise unless a collection may be resumed under these conditions.

    Args:
        holds_trials: whether there is a trial in the folder; without one anything may be collected into it.

    Raises:
        CollectionError: it was made under others.
    """
    found = load_conditions(folder)
    for key in Conditions.model_fields:
        ours, theirs = getattr(wanted, key), getattr(found, key)
        if holds_trials and ours != theirs:
            raise WrongCollectionError(
                f"{folder}: made under other conditions, {key} is {str(theirs).lower()} there and {str(ours).lower()} "
                "now; choose another folder"
            )


def write_conditions(folder, conditions: Conditions) -> None:
    """Write the file, whole or not at all; the usual conditions need none.

    Raises:
        CollectionError: it could not be written.
    """
    folder = Path(folder)
    if conditions == load_conditions(folder):
        return
    text = yaml.safe_dump(conditions.model_dump(), sort_keys=False)
    with explained(folder):
        write_atomically(folder / CONDITIONS_FILE, folder / f".{CONDITIONS_FILE}.part", text.encode())
