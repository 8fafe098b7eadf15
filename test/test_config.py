"""A wrong setting is named with its source, its key and what was expected."""

from typing import List

import pydantic
import pytest
from pydantic import Field, ValidationError

from grasp_learning.config import ConfigError, Settings, load_settings, parse_settings


class Inner(Settings):
    rate: float = Field(10.0, gt=0)


class Outer(Settings):
    name: str
    sizes: List[int] = [1, 2]
    inner: Inner = Inner()


def test_defaults_and_nested_values():
    settings = parse_settings(Outer, {"name": "a", "inner": {"rate": 5}}, "node")
    assert (settings.name, settings.sizes, settings.inner.rate) == ("a", [1, 2], 5.0)


@pytest.mark.parametrize(
    "values, words",
    [
        ({}, ["key 'name' is missing"]),
        ({"name": "a", "nmae": 1}, ["key 'nmae' is unknown"]),
        ({"name": "a", "inner": {"rate": -1}}, ["key 'inner.rate' is -1", "greater than 0"]),
        ({"name": "a", "inner": {"rate": float("nan")}}, ["key 'inner.rate' is nan", "finite number"]),
        ({"name": "a", "inner": {"rate": float("inf")}}, ["key 'inner.rate' is inf", "finite number"]),
        ({"name": "a", "sizes": [1, "x"]}, ["key 'sizes.1' is 'x'", "integer"]),
        ({"inner": {"rate": 0}, "b": 1}, ["'name' is missing", "'b' is unknown", "'inner.rate'"]),
    ],
)
def test_wrong_keys_are_named(values, words):
    with pytest.raises(ConfigError) as error:
        parse_settings(Outer, values, "some/node")
    for word in words:
        assert word in str(error.value)
    assert all(line.startswith("some/node: ") for line in str(error.value).splitlines())


def test_settings_that_are_no_mapping():
    with pytest.raises(ConfigError, match="expected a mapping of settings, got list"):
        parse_settings(Outer, [1], "node")


def test_settings_do_not_change():
    settings = parse_settings(Outer, {"name": "a"}, "node")
    with pytest.raises(ValidationError):
        settings.name = "b"


def test_files(tmp_path):
    path = tmp_path / "settings.yaml"
    with pytest.raises(ConfigError, match=r"settings.yaml: cannot be read \(No such file"):
        load_settings(Outer, path)
    path.write_text("name: [")
    with pytest.raises(ConfigError, match="settings.yaml: not valid YAML"):
        load_settings(Outer, path)
    path.write_text("")
    with pytest.raises(ConfigError, match="got NoneType"):
        load_settings(Outer, path)
    path.write_text("name: b\nsizes: [3]")
    assert load_settings(Outer, path).sizes == [3]


def test_a_rule_of_one_key_gives_its_reason_behind_the_value():
    class Even(Settings):
        count: int = 0

        @pydantic.field_validator("count")
        @classmethod
        def _even(cls, count: int) -> int:
            if count % 2:
                raise ValueError("expected an even number")
            return count

    with pytest.raises(ConfigError) as caught:
        parse_settings(Even, {"count": 3}, "node")
    assert str(caught.value) == "node: key 'count' is 3: expected an even number"


def test_a_rule_over_several_keys_gives_its_reason_alone():
    class Interval(Settings):
        low: float = 0.0
        high: float = 1.0

        @pydantic.model_validator(mode="after")
        def _ordered(self):
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    with pytest.raises(ConfigError) as caught:
        parse_settings(Interval, {"low": 2.0}, "node")
    assert str(caught.value) == "node: low is above high"
