"""What is wrong with the disk, the database or the network, and the way out of it, in one line."""

import errno
import sqlite3
from collections.abc import Iterator

from search.interrupt import command
from space.errors import first_line

ELSEWHERE = "choose another folder with --runs"
WAYS_OUT = {
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "delete something of yours, or ask for a larger quota",
    errno.EACCES: f"allow yourself to read and write it, or {ELSEWHERE}",
    errno.EPERM: f"allow yourself to read and write it, or {ELSEWHERE}",
    errno.EROFS: f"{ELSEWHERE}, on a disk that can be written",
    errno.ENOENT: "check the path, and that its disk is there",
    errno.ENOTDIR: f"a file lies where a folder is needed: move it away, or {ELSEWHERE}",
    errno.EEXIST: f"a file lies where a folder is needed: move it away, or {ELSEWHERE}",
    errno.EISDIR: "a folder lies where a file is needed: move it away",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: f"its disk is failing: copy the study to another one, and {ELSEWHERE}",
    errno.EMFILE: "raise the limit with ulimit -n, or use fewer --workers",
    errno.ENOMEM: "use fewer --workers",
    errno.EADDRINUSE: "choose another --port",
    errno.ECONNREFUSED: "check that what is asked there is running",
}
"""What to do about an error of the system, by its number."""

OTHER_VERSION = "another version wrote it: use that version, or run the study afresh under another --name"
AFRESH = "put a copy of study.db back, or rebuild what can be with wunderkind repair"
DATABASE_WAYS_OUT = {
    sqlite3.SQLITE_BUSY: "close the other program that holds it: a dashboard, a browser of databases, a backup",
    sqlite3.SQLITE_LOCKED: "close the other program that holds it: a dashboard, a browser of databases, a backup",
    sqlite3.SQLITE_CORRUPT: AFRESH,
    sqlite3.SQLITE_NOTADB: AFRESH,
    sqlite3.SQLITE_FULL: "free some space on its disk",
    sqlite3.SQLITE_IOERR: f"free some space on its disk; if there is enough, copy it to another disk and {ELSEWHERE}",
    sqlite3.SQLITE_READONLY: f"allow yourself to write the study's folder and its files, or copy it and {ELSEWHERE}",
    sqlite3.SQLITE_CANTOPEN: f"allow yourself to read and write the study's folder, or {ELSEWHERE}",
    sqlite3.SQLITE_ERROR: OTHER_VERSION,
}
"""What to do about an error of SQLite, by its primary code."""


def explain(error: BaseException) -> str | None:
    """What is wrong, where, and the way out; None for an error that the user cannot mend."""
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error) and (code := getattr(cause, "sqlite_errorcode", None)):
            way_out = DATABASE_WAYS_OUT.get(code & 0xFF)  # the other bits say what exactly failed
            return way_out and f"the study's database cannot be used ({cause}): {way_out}, then {_again()}"
        if isinstance(cause, OSError):
            place = f" at {cause.filename}" if cause.filename else ""
            fault = f"{cause.strerror or first_line(cause)}{place}"
            return f"{fault}: {WAYS_OUT.get(cause.errno or 0, 'fix that')}, then {_again()}"
        if isinstance(cause, RuntimeError) and "optuna storage upgrade" in str(cause):  # Optuna has no class for it
            return f"the study's database cannot be used (its tables are not this Optuna's): {OTHER_VERSION}"
    return None


def _again() -> str:
    return f"go on with {command()}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, the first cause last; not what merely was handled when it arose."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
