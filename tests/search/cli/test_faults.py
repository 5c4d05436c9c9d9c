"""Faults of disk, database and network, provoked for real, and the way out that each is given."""

import errno
import os
import resource
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import command_line
import optuna
import pytest
import sqlalchemy

from search.cli.faults import explain
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory
from studies.store import create, opened

ELSEWHERE = "choose another folder with --runs"


def full_device(_: Path) -> None:
    with open("/dev/full", "w") as file:
        file.write("x")


def missing_file(folder: Path) -> None:
    (folder / "none").read_bytes()


def file_for_a_folder(folder: Path) -> None:
    (folder / "file").touch()
    (folder / "file" / "inner").mkdir(parents=True)


def file_that_is_there(folder: Path) -> None:
    (folder / "file").touch()
    (folder / "file").mkdir()


def folder_for_a_file(folder: Path) -> None:
    folder.write_bytes(b"x")


def no_permission(folder: Path) -> None:
    # the one thing that even root may not do with a file of its own
    (folder / "file").touch(mode=0o600)
    os.execv(folder / "file", ["file"])


def long_name(folder: Path) -> None:
    (folder / ("x" * 300)).touch()


def used_port(_: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.socket() as second:
        second.bind(first.getsockname())


def nobody_listens(_: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    socket.create_connection(address).close()


@pytest.mark.parametrize(
    ("provoke", "number", "way_out"),
    [
        (full_device, errno.ENOSPC, "free some space on its disk"),
        (missing_file, errno.ENOENT, "check the path"),
        (file_for_a_folder, errno.ENOTDIR, f"a file lies where a folder is needed: move it away, or {ELSEWHERE}"),
        (file_that_is_there, errno.EEXIST, f"a file lies where a folder is needed: move it away, or {ELSEWHERE}"),
        (folder_for_a_file, errno.EISDIR, "a folder lies where a file is needed: move it away"),
        (no_permission, errno.EACCES, f"allow yourself to read and write it, or {ELSEWHERE}"),
        (long_name, errno.ENAMETOOLONG, "choose a shorter name"),
        (used_port, errno.EADDRINUSE, "choose another --port"),
        (nobody_listens, errno.ECONNREFUSED, "check that what is asked there is running"),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_an_error_of_the_system_has_its_own_way_out(
    provoke: Callable[[Path], None], number: int, way_out: str, tmp_path: Path
) -> None:
    with pytest.raises(OSError) as caught:
        provoke(tmp_path)
    assert caught.value.errno == number
    line = explain(caught.value)
    assert line is not None
    assert way_out in line
    assert os.strerror(number) in line
    if caught.value.filename:
        assert str(tmp_path) in line


def table(path: Path, journal: str = "WAL") -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.execute("CREATE TABLE numbers (number INTEGER)")
    return connection


def query(path: Path, statement: str) -> None:
    """Ask a database as the ledger does, with SQLAlchemy."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement))
    finally:
        engine.dispose()


INSERT = "INSERT INTO numbers VALUES (1)"


def locked(path: Path) -> None:
    with closing(table(path)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        query(path, INSERT)


def damaged(path: Path) -> None:
    with closing(table(path, "DELETE")) as connection:
        connection.executemany(INSERT.replace("1", "?"), [(number,) for number in range(5_000)])
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    query(path, "SELECT sum(number) FROM numbers")


def no_database(path: Path) -> None:
    path.write_bytes(b"something else" * 1_000)
    query(path, INSERT)


def read_only(path: Path) -> None:
    table(path).close()
    query(Path(f"file:{path}?mode=ro&uri=true"), INSERT)


def another_version(path: Path) -> None:
    table(path).close()
    query(path, "SELECT * FROM wunderkind_training")


def another_column(path: Path) -> None:
    table(path).close()
    query(path, "SELECT digest FROM numbers")


def no_folder(path: Path) -> None:
    query(path / "none" / "study.db", INSERT)


def large_file(path: Path) -> None:
    table(path, "DELETE").close()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))  # no file may grow beyond
    try:
        query(path, f"INSERT INTO numbers SELECT value FROM json_each('{[1] * 9_000}')")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


AFRESH = "put a copy of study.db back, or rebuild what can be with wunderkind repair"


@pytest.mark.parametrize(
    ("provoke", "words", "way_out"),
    [
        (locked, "database is locked", "close the other program that holds it"),
        (damaged, "malformed", AFRESH),
        (no_database, "file is not a database", AFRESH),
        (read_only, "readonly database", "allow yourself to write the study's folder and its files"),
        (another_version, "no such table", "another version wrote it: use that version"),
        (another_column, "no such column", "another version wrote it: use that version"),
        (no_folder, "unable to open", f"allow yourself to read and write the study's folder, or {ELSEWHERE}"),
        (large_file, "disk", "free some space on its disk"),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_an_error_of_the_database_has_its_own_way_out(
    provoke: Callable[[Path], None], words: str, way_out: str, tmp_path: Path
) -> None:
    with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
        provoke(tmp_path / "study.db")
    line = explain(caught.value)
    assert line is not None
    assert words in line
    assert way_out in line
    assert "\n" not in line


def test_a_full_disk_is_recognised_in_optunas_own_error(tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=storage)

    @sqlalchemy.event.listens_for(storage.engine, "begin")
    def _no_more_pages(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    storage.engine.dispose()
    with pytest.raises(optuna.exceptions.StorageInternalError) as caught:
        study.set_user_attr("long", "x" * 1_000_000)
    line = explain(caught.value)
    assert line is not None
    assert "full" in line
    assert "free some space on its disk" in line
    storage.engine.dispose()


def test_what_a_programmer_got_wrong_is_not_explained(tmp_path: Path) -> None:
    assert explain(TypeError("not a number")) is None
    with closing(table(tmp_path / "study.db")) as connection:
        with pytest.raises(sqlite3.ProgrammingError) as misuse:
            connection.execute(INSERT, (1, 2))
        connection.execute("CREATE UNIQUE INDEX one ON numbers (number)")
        connection.execute(INSERT)
        with pytest.raises(sqlite3.IntegrityError) as twice:
            connection.execute(INSERT)
    assert explain(misuse.value) is None
    assert explain(twice.value) is None
    try:
        try:
            missing_file(tmp_path)
        except OSError:
            raise KeyError("a fault of ours while that one was handled")  # noqa: B904
    except KeyError as error:
        assert explain(error) is None


def wunderkind(*arguments: str) -> str:
    """The one line that a command ends with that cannot do its work."""
    result = command_line.wunderkind(*arguments)
    assert result.returncode == 2, result.stdout + result.stderr
    (line,) = result.stderr.splitlines()
    return line


def test_a_damaged_study_is_refused_with_the_command_to_go_on(tmp_path: Path) -> None:
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, Config())
    directory.database.write_bytes(b"something else" * 1_000)
    line = wunderkind("status", "mine", "--runs", str(tmp_path))
    assert line == (
        f"error: {directory.database} is damaged: put a copy of it back, or rebuild what can be with wunderkind repair "
        f"mine --runs {tmp_path}"
    )


def test_a_database_of_another_optuna_is_refused(tmp_path: Path) -> None:
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, Config())
    with opened(directory):
        pass
    with closing(sqlite3.connect(directory.database)) as connection, connection:
        connection.execute("UPDATE version_info SET schema_version = 1")
        connection.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    line = wunderkind("status", "mine", "--runs", str(tmp_path))
    assert "its tables are not this Optuna's): another version wrote it: use that version, or run the study" in line


def test_a_used_port_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, Config())
    with opened(directory):
        pass
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        line = wunderkind("dashboard", "mine", "--port", port, "--runs", str(tmp_path))
    assert line == f"error: port {port}: address already in use: choose another --port"
    assert not directory.artifacts.exists()
