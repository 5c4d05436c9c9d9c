"""A teacher's log: what lies beside its file as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from kd.environment import Environment
from kd.files import from_json, to_json, write_whole
from space.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherLog:
    """How a teacher, an assistant or an ensemble was made, and how good it is.

    `data` is the digest of the data it was taught on, `curve` has a row an epoch. An ensemble has `members`, the names
    of their files, in place of a recipe and a curve. `environment` is None where it is not known.
    """

    data: str
    parameters: int
    validation_accuracy: Share
    test_accuracy: Share
    recipe: Mapping[str, Any] | None = None
    curve: tuple[Mapping[str, Any], ...] = ()
    members: tuple[str, ...] = ()
    environment: Environment | None = None

    def to_json(self) -> str:
        """What the log's file holds."""
        return to_json(self)

    @classmethod
    def from_json(cls, path: Path) -> "TeacherLog":
        """Read a log; raises InputError for one that is missing, damaged or of another format."""
        if not path.is_file():
            raise InputError(f"no log of a teacher at {path}: wunderkind teach writes one at its end, go on with it")
        return from_json(_ADAPTER, path.read_bytes(), path, "make the teacher again with wunderkind teach")

    def write(self, teacher: Path) -> None:
        """Write the log beside a teacher's file."""
        write_whole(log_of(teacher), self.to_json())


def log_of(teacher: Path) -> Path:
    """Where the log of a teacher's file lies."""
    return teacher.with_suffix(".json")


_ADAPTER = TypeAdapter(TeacherLog)
