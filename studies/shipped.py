"""The shipped architectures, by name: students known to be good, and an assistant to teach them."""

from pathlib import Path

from space.architecture import Architecture, read
from space.errors import InputError

ARCHITECTURES = Path(__file__).parent / "architectures"


def names() -> list[str]:
    """Names of the shipped architectures."""
    return sorted(path.stem for path in ARCHITECTURES.glob("*.json"))


def find(text: str) -> Architecture:
    """The shipped architecture of this name, or that of a JSON file's path; raises InputError."""
    if text in names():
        return read(ARCHITECTURES / f"{text}.json")
    if not text.endswith(".json"):
        raise InputError(f"unknown architecture '{text}': use one of {', '.join(names())} or the path of a .json file")
    return read(Path(text))
