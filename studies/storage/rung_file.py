"""What lies beside a training state: the rung that it ended, so that the ledger can be rebuilt, and its checksum."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from kd.files import from_json, to_json, write_whole
from space.errors import InputError
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Rung, Training


@dataclass(frozen=True, slots=True, kw_only=True)
class RungFile:
    """A rung as the ledger has it, and the CRC-32 of the training state that it left, None where it failed."""

    training: Training
    rung: Rung
    checksum: int | None


def write_rung(directory: RunDirectory, training: Training, rung: Rung, state: bytes) -> None:
    """Write the training `state` that a rung left, none for one that failed, and what it is."""
    path = directory.checkpoint(training.name, rung.epochs)
    if rung.failure is None:
        write_whole(path, state)
    checksum = zlib.crc32(state) if rung.failure is None else None
    write_whole(path.with_suffix(".json"), to_json(RungFile(training=training, rung=rung, checksum=checksum)))


def read_state(directory: RunDirectory, training: Training, epochs: float) -> bytes | None:
    """The training state that a finished rung left, None where it or what it is cannot be read whole."""
    path = directory.checkpoint(training.name, epochs)
    try:
        state, found = path.read_bytes(), _read(path.with_suffix(".json"))
    except (OSError, InputError):
        return None
    return state if zlib.crc32(state) == found.checksum else None


def rung_files(directory: RunDirectory) -> Iterator[RungFile]:
    """All that can be read in a study, shortest rungs first."""
    found: list[RungFile] = []
    for path in directory.checkpoints.glob("[0-9a-f]*.json"):
        try:
            found.append(_read(path))
        except (OSError, InputError):
            continue
    yield from sorted(found, key=lambda file: (file.training.name, file.rung.epochs))


def _read(path: Path) -> RungFile:
    return from_json(_ADAPTER, path.read_bytes(), path, "train it again")


_ADAPTER = TypeAdapter(RungFile)
