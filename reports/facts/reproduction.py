"""How to do a study again: what it was asked that is not the default, and the same as a file to run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from studies.configuration.config import Config
from studies.configuration.file import flatten

FILE = "study.toml"
"""Name of the file beside the report that asks for the same study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting, its value, and its default; both as they are written in a file."""

    key: str
    value: str
    default: str


def changed_settings(config: Config) -> list[Setting]:
    """Settings that are not the defaults, in the order of the configuration."""
    own, defaults = flatten(asdict(config)), flatten(asdict(Config()))
    return [
        Setting(key=key, value=written(value), default=written(defaults[key]))
        for key, value in own.items()
        if value != defaults[key]
    ]


def differing_settings(configs: Mapping[str, Config]) -> dict[str, list[str]]:
    """Settings that are not the same in all of some studies: their values, in the order of the studies."""
    flat = [flatten(asdict(config)) for config in configs.values()]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    return {
        key: [written(settings.get(key)) for settings in flat]
        for key in keys
        if len({written(settings.get(key)) for settings in flat}) > 1
    }


def to_toml(config: Config) -> str:
    """A file that asks for the same as a configuration: every setting that has a value."""
    lines = [
        f"{key} = {written(value)}"
        for key, value in flatten(asdict(config)).items()
        if value is not None and value != {}
    ]
    return "\n".join(
        ["# What this study was asked, to be run again: wunderkind run study.toml --name NAME", *lines, ""]
    )


def written(value: Any) -> str:
    """A value as a TOML file has it; a dash for none."""
    return "–" if value is None else json.dumps(value, ensure_ascii=False)
