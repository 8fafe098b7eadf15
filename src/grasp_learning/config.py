"""Settings from YAML files and ROS parameters, checked before anything moves.

A settings class is a pydantic model with ``extra="forbid"``; pydantic was chosen because its errors name the key,
the value and what was expected.
"""

from pathlib import Path
from typing import Any, Mapping, Type, TypeVar

import pydantic
import yaml


class ConfigError(ValueError):
    """A setting is missing or malformed; the message names the source, the key and what was expected."""


class Settings(pydantic.BaseModel):
    """Base of all settings: unknown keys and numbers that are not finite are errors, checked values do not change."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


SettingsType = TypeVar("SettingsType", bound=Settings)


def parse_settings(cls: Type[SettingsType], values: Any, source: str) -> SettingsType:
    """Check a mapping against a settings class.

    Args:
        source: where the values come from, for the error: a file's path or a node's name.

    Raises:
        ConfigError: with one line for each wrong key.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: expected a mapping of settings, got {type(values).__name__}")
    try:
        return cls(**values)
    except pydantic.ValidationError as error:
        lines = [_describe(item) for item in error.errors()]
        raise ConfigError("\n".join(f"{source}: {line}" for line in lines)) from None


def _describe(item: Mapping) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "missing":
        return f"key '{key}' is missing"
    if item["type"] == "extra_forbidden":
        return f"key '{key}' is unknown"
    reason = item["msg"].replace("Value error, ", "", 1)
    # of the whole, its values would hide the reason
    return f"key '{key}' is {item['input']!r}: {reason}" if item["loc"] else reason


def load_settings(cls: Type[SettingsType], path) -> SettingsType:
    """Read a settings class from a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit the class.
    """
    path = Path(path)
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    return parse_settings(cls, values, str(path))
