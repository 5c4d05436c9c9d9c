"""A study's database: its URL, and what must hold before it is opened."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from space.errors import InputError
from studies.storage.directory import RunDirectory

BESIDE = ("-wal", "-shm")
"""Suffixes of the files that SQLite keeps beside a database in use."""


def database_url(path: Path) -> str:
    """URL of an SQLite database, whatever characters its path has."""
    from sqlalchemy import URL

    # as a URI, whose percent signs neither SQLAlchemy nor Optuna's templates of URLs take for their own
    return URL.create("sqlite", database=path.resolve().as_uri(), query={"uri": "true"}).render_as_string()


@contextmanager
def readable_database(directory: RunDirectory) -> Iterator[Path]:
    """A study's database, to be opened: where it may only be read, a copy of it that lasts as long as the context.

    SQLite needs to write beside a database even to read what was written last.
    """
    if is_writable(directory):
        yield directory.database
        return
    if not directory.database.is_file():
        raise InputError(f"{directory.path} has no database yet and may only be read: run the study where it was begun")
    with tempfile.TemporaryDirectory(prefix="wunderkind-") as folder:
        for suffix in ("", "-wal"):
            part = directory.database.with_name(directory.database.name + suffix)
            if part.is_file():
                shutil.copyfile(part, Path(folder) / part.name)
        yield Path(folder) / directory.database.name


def is_writable(directory: RunDirectory) -> bool:
    """Whether a study's folder and its database may be written."""
    places = [directory.path, *(path for path in (directory.database,) if path.exists())]
    return all(os.access(place, os.W_OK) for place in places)


def check_database(directory: RunDirectory, database: Path) -> None:
    """Raise InputError for a database that is damaged, or gone while the study has students on disk.

    Raises:
        sqlite3.Error: when it cannot be read at all, such as one that another program holds.
    """
    if fault := database_fault(database):
        if fault != "damaged" and not has_students(directory):
            return
        raise InputError(
            f"{directory.database} is {fault}: put a copy of it back, or rebuild what can be with wunderkind repair "
            f"{directory.target}"
        )


def database_fault(database: Path) -> str:
    """What is wrong with a database file in a word: "missing", "empty" or "damaged"; nothing where it is sound."""
    if not database.is_file() or not database.stat().st_size:
        return "missing" if not database.is_file() else "empty"
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:  # locked, say: nothing is known of its content
        raise
    except sqlite3.DatabaseError:
        return "damaged"
    return "" if found == ("ok",) else "damaged"


def has_students(directory: RunDirectory) -> bool:
    """Whether anything was trained: training states or retrained students are on disk."""
    return any(directory.checkpoints.glob("*.safetensors")) or any(directory.students.glob("*/*.safetensors"))
