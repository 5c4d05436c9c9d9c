"""The shipped architectures, by name: students known to be good, and an assistant to teach them."""

from difflib import get_close_matches
from pathlib import Path

from space.architecture import Architecture, read
from space.errors import InputError, did_you_mean

ARCHITECTURES = Path(__file__).parent / "architectures"


def names() -> list[str]:
    """Names of the shipped architectures."""
    return sorted(path.stem for path in ARCHITECTURES.glob("*.json"))


def find(text: str) -> Architecture:
    """The shipped architecture of this name, or that of a JSON file's path; raises InputError."""
    if text in names():
        return read(ARCHITECTURES / f"{text}.json")
    if not text.endswith(".json"):
        alike = did_you_mean(get_close_matches(text, names()))
        known = ", ".join(names())
        raise InputError(f"unknown architecture '{text}': {alike}use one of {known} or the path of a .json file")
    return read(Path(text))
