"""Files that are whole or not there, also after a power cut, and folders to prepare them in."""

import errno
import json
import os
import re
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from space.errors import InputError, first_line, rule

MANIFEST = "manifest.json"
"""The manifest's own name in its folder."""

CHUNK = 1 << 22
"""Bytes read at once."""

T = TypeVar("T")

FORMAT = 1
"""Number of the format of our files; one of another format is refused."""

STALE = 3_600
"""Seconds after which a draft of a file, which takes seconds to write, is one that a killed process left."""


def check_format(path: Path, found: object) -> None:
    """Raise InputError when a file says that it is of another format than ours."""
    if str(found) != str(FORMAT):
        raise InputError(f"{path} is of format {found}, not {FORMAT}: make it again with this version of wunderkind")


def to_json(noun: Any) -> str:
    """A dataclass as indented JSON, with the number of the format in front, that `from_json` reads back."""
    return json.dumps({"format": FORMAT, **asdict(noun)}, indent=1) + "\n"


def from_json(noun: TypeAdapter[T], content: str | bytes, path: Path, way_out: str) -> T:
    """What `to_json` wrote; raises InputError that names `path`, the first thing wrong and the `way_out`."""
    try:
        settings = json.loads(content)
        if not isinstance(settings, dict) or "format" not in settings:
            raise ValueError("it names no format")
        check_format(path, settings.pop("format"))
        return noun.validate_json(json.dumps(settings))
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {rule(first)}"
        raise InputError(f"cannot read {path} ({reason}): {way_out}") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"cannot read {path} ({first_line(error)}): {way_out}") from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, making its folder; a crash, a full disk or a power cut leaves the old one or none, never half."""
    make_folder(path.parent)
    draft = path.with_name(f".{path.name[:100]}-{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as file:
            # bytes of a path that the locale could not read are written as they are
            file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        _remove_stale_drafts(path.parent)
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, and have the disk know of them."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk know what was renamed into a folder, as far as its file system can be asked to."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems sync files alone
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def move_whole(folder: Path, path: Path) -> None:
    """Give a folder of files its final name, after the disk has them."""
    for file in folder.iterdir():
        with file.open("rb") as content:
            os.fsync(content.fileno())
    sync_folder(folder)
    folder.rename(path)
    sync_folder(path.parent)


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written to the disk of a folder, which need not be there yet."""
    place = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(place).free


@contextmanager
def scratch_folder(place: Path, name: str) -> Iterator[Path]:
    """An empty folder in `place` to prepare `name` in, removed at the end unless it was renamed.

    One process at a time has it, others wait for its lock. The system frees the lock of a process that dies, so what
    the next one finds there is nobody's any more.
    """
    make_folder(place)
    folder = place / f".{name}.draft"
    with FileLock(place / f".{name}.lock"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_drafts(path: Path) -> None:
    """Remove drafts of a file that a killed process left; only its one writer may call this."""
    for draft in path.parent.glob(f".{path.name[:100]}-*"):
        draft.unlink(missing_ok=True)


@cache  # listing a folder at every file written into it would take longer the more it holds
def _remove_stale_drafts(folder: Path) -> None:
    """Remove drafts that were left behind, judged by the file system's own clock: the newest is one just written."""
    drafts = {path: _written(path) for path in folder.glob(".*") if re.search(r"-[0-9a-f]{32}$", path.name)}
    newest = max(drafts.values(), default=0)
    for path, written in drafts.items():
        if newest - written > STALE:
            path.unlink(missing_ok=True)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # its writer has just finished
        return 0


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write down size, CRC-32 and time of change of files in a folder; all must be there."""
    _write_facts(folder, {}, names)


def renew_manifest(folder: Path, names: Iterable[str]) -> None:
    """Write down anew those files of a folder that were changed on purpose; of others, damage is still seen."""
    if damaged_files(folder) != [MANIFEST]:  # what cannot be read stays so until all files are written again
        _write_facts(folder, json.loads((folder / MANIFEST).read_bytes()), names)


def _write_facts(folder: Path, known: dict[str, list[int]], names: Iterable[str]) -> None:
    found = known | {name: [*_stamp(folder / name), checksum(folder / name)] for name in names}
    write_whole(folder / MANIFEST, json.dumps(dict(sorted(found.items())), indent=1) + "\n")


def damaged_files(folder: Path, *, thorough: bool = False) -> list[str]:
    """Names of files in a folder that are missing or differ from its manifest; its own where it cannot be read.

    A file of the same size and time of change counts as unchanged, unless the check is `thorough`; of others, such as
    copies, the CRC-32 is compared. Files that no manifest names are none of our business.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        expected = {str(name): (int(size), int(changed), int(crc)) for name, (size, changed, crc) in manifest.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return [MANIFEST]
    return [name for name, facts in expected.items() if not _same(folder / name, *facts, thorough)]


def is_sound(folder: Path) -> bool:
    """Whether a folder has a manifest and its files are as that says."""
    return not damaged_files(folder)


def checksum(path: Path) -> int:
    """CRC-32 of a file's content."""
    crc = 0
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            crc = zlib.crc32(part, crc)
    return crc


def _same(path: Path, size: int, changed: int, crc: int, thorough: bool) -> bool:
    try:
        found = _stamp(path)
        return found[0] == size and ((found[1] == changed and not thorough) or checksum(path) == crc)
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
