"""Where the files of a configuration lie: paths are resolved where they are typed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd.data.dataset import KNOWN
from kd.teachers.network import shipped
from studies.shipped import names

KEYS = ("data.name", "teacher", "teacher.models", "teacher.weights", "assistants.architectures")
"""Keys whose values are names or paths."""


def placed(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Nested settings of a file in `folder`, with their paths absolute."""

    def walk(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: walk(value, f"{prefix}{key}.") if isinstance(value, dict) else place(f"{prefix}{key}", value, folder)
            for key, value in settings.items()
        }

    return walk(settings, "")


def place(key: str, value: Any, folder: Path) -> Any:
    """The value of a key, which was typed in `folder`: a path in it is made absolute, `~` is the home folder."""
    if key not in KEYS:
        return value
    if isinstance(value, list):
        return [_absolute(text, folder) if isinstance(text, str) else text for text in value]
    return _absolute(value, folder) if isinstance(value, str) else value


def _absolute(text: str, folder: Path) -> str:
    if not text or text in KNOWN or text in names() or shipped(text).is_file():
        return text
    path = folder / os.path.expanduser(text)
    return os.path.abspath(path) if text.startswith("~") or path.exists() else text
