"""What a user writes: presets, TOML files and `key=value`, as far as it is understood without PyTorch.

Reading it takes milliseconds, so commands check it before the imports that take seconds.
"""

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from space.errors import InputError, did_you_mean

PRESETS = Path(__file__).parents[1] / "presets"


def presets() -> list[str]:
    """Names of the shipped presets."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_toml(preset: str) -> tuple[dict[str, Any], Path]:
    """Settings of a preset, by its name, or of a TOML file, by its path, and the folder it lies in.

    Raises:
        InputError: for one that is not there, or no TOML.
    """
    path = PRESETS / f"{preset}.toml" if preset in presets() else Path(preset)
    if path.suffix == ".toml" and not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'not there'}: check the path of the .toml file")
    if path.suffix != ".toml":
        alike = did_you_mean(get_close_matches(preset, presets()))
        known = ", ".join(presets())
        raise InputError(f"unknown preset '{preset}': {alike}use one of {known} or the path of a .toml file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig")), path.parent
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def split_change(change: str) -> tuple[str, str]:
    """Key and value of `key=value`, as text; raises InputError."""
    key, separator, text = change.partition("=")
    if not separator or not key.strip():
        raise InputError(f"--set {change}: write key=value, like --set budget.parameters=5000")
    return key.strip(), text


def check_written(preset: str, changes: Iterable[str]) -> None:
    """Raise InputError for a preset that is not there or not readable, and for changes that are no `key=value`."""
    read_toml(preset)
    for change in changes:
        split_change(change)
