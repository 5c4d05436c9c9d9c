"""Manifests: what the files of a folder held when they were written, so that a damaged one is noticed."""

import json
import zlib
from collections.abc import Iterable
from pathlib import Path

from kd.files import write_whole

NAME = "manifest.json"
"""The manifest's own name in its folder."""

PART = 1 << 22
"""Bytes read at once."""


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write down size, CRC-32 and time of change of files in a folder; all must be there."""
    found = {name: [*_stamp(folder / name), checksum(folder / name)] for name in sorted(names)}
    write_whole(folder / NAME, json.dumps(found, indent=1) + "\n")


def damaged_files(folder: Path) -> list[str]:
    """Names of files in a folder that are missing or differ from its manifest; its own where it cannot be read.

    A file of the same size and time of change counts as unchanged; of others, such as copies, the CRC-32 is compared.
    Files that no manifest names are none of our business.
    """
    try:
        manifest = json.loads((folder / NAME).read_bytes())
        expected = {str(name): (int(size), int(changed), int(crc)) for name, (size, changed, crc) in manifest.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return [NAME]
    return [name for name, facts in expected.items() if not _same(folder / name, *facts)]


def is_sound(folder: Path) -> bool:
    """Whether a folder has a manifest and its files are as that says."""
    return not damaged_files(folder)


def checksum(path: Path) -> int:
    """CRC-32 of a file's content."""
    crc = 0
    with path.open("rb") as file:
        while part := file.read(PART):
            crc = zlib.crc32(part, crc)
    return crc


def _same(path: Path, size: int, changed: int, crc: int) -> bool:
    try:
        found = _stamp(path)
        return found[0] == size and (found[1] == changed or checksum(path) == crc)
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
