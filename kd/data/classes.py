"""Names of classes: how they are written and in which order their labels count."""

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

NUMBER = re.compile(r"([0-9]+)")


def natural(names: Iterable[str]) -> list[str]:
    """Names in natural order, in which 2 comes before 10.

    >>> natural(["10", "2", "b10", "b9", "a"])
    ['2', '10', 'a', 'b9', 'b10']
    """
    return sorted(names, key=_key)


def order_note(names: list[str]) -> tuple[str, ...]:
    """What is to be told of names whose natural order is not that of their characters."""
    if names == sorted(names):
        return ()
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return (f"classes are in natural order: {shown}",)


def printable(path: Path | str) -> str:
    """A path or name as it can be printed, bytes that are no UTF-8 in hexadecimal."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS writes ä as two characters, others as one."""
    return unicodedata.normalize("NFC", printable(name))


def _key(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    parts = (part for part in NUMBER.split(name) if part)
    return [(False, int(part), "") if part[0] in "0123456789" else (True, 0, part) for part in parts], name
