"""A study's database: where it lies, and what is said when it is not what it was."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from space.errors import InputError
from studies.configuration.config import Config, Search
from studies.storage.database import database_fault, database_url, readable_database
from studies.storage.directory import RunDirectory
from studies.store import create, opened

PATHS = ["a b", "a?b=c", "100%20", "a#b", "[x]", "{x}", "a[/x]", "Ärger ß", "x" * 200, "a&b;c'd\"", "~"]


@pytest.mark.parametrize("name", PATHS)
def test_a_database_lies_where_its_study_does(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    url = database_url(folder / "study.db")
    optuna.create_study(storage=optuna.storages.RDBStorage(url), study_name="mine")
    assert (folder / "study.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name.partition("/")[0]]
    assert optuna.get_all_study_names(url) == ["mine"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    directory = RunDirectory(root=tmp_path_factory.mktemp("runs"), name="mine")
    create(directory, Config(search=Search(trials=3)))
    with opened(directory) as store:
        store.study.tell(store.study.ask(), values=[0.9, 100])
    return directory


@pytest.fixture
def directory(study: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A study of its own that has trained something, as far as its files tell."""
    shutil.copytree(study.path, tmp_path / "mine")
    (tmp_path / "mine" / "checkpoints").mkdir()
    (tmp_path / "mine" / "checkpoints" / "a-1.safetensors").touch()
    return RunDirectory(root=tmp_path, name="mine")


@pytest.mark.parametrize("fault", ["missing", "empty", "damaged"])
def test_students_without_their_database_are_not_given_a_new_one(directory: RunDirectory, fault: str) -> None:
    database = directory.database
    content = database.read_bytes()
    database.unlink()
    if fault != "missing":
        database.write_bytes(b"" if fault == "empty" else content[:4096] + bytes(4096) + content[8192:])
    assert database_fault(database) == fault
    before = database.read_bytes() if database.exists() else None
    with (
        pytest.raises(InputError, match=rf"study\.db is {fault}: .*wunderkind repair mine") as caught,
        opened(directory),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert (database.read_bytes() if database.exists() else None) == before


def test_a_study_that_may_only_be_read_is_read_and_left_as_it_is(directory: RunDirectory) -> None:
    with closing(sqlite3.connect(directory.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    script = (
        "import sys; from pathlib import Path; from studies.overview import summaries\n"
        "from studies.storage.directory import RunDirectory; from studies.store import opened\n"
        "root = Path(sys.argv[1])\n"
        "with opened(RunDirectory(root=root, name='mine')) as store: print(len(store.study.trials))\n"
        "print(summaries(root)[0].name)\n"
    )
    mount = f'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "{sys.executable}" -c "$2" "$1"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", str(directory.root), script]
    if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("only root may mount")
    before = {path.name: path.stat().st_mtime_ns for path in directory.path.iterdir()}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.stdout.split() == ["1", "mine"], result.stderr
    assert {path.name: path.stat().st_mtime_ns for path in directory.path.iterdir()} == before


def test_a_copy_is_read_only_where_the_study_cannot_be_written(directory: RunDirectory) -> None:
    with readable_database(directory) as database:
        assert database == directory.database


@pytest.mark.parametrize("names", [{"data": "elsewhere.npz"}, {"teacher": "elsewhere.safetensors"}])
def test_a_copied_study_is_told_where_its_files_lie(names: dict[str, str], tmp_path: Path) -> None:
    from dataclasses import replace

    from kd.data.dataset import ASSETS, DataSource
    from kd.teachers.source import TeacherSource

    shutil.copy(ASSETS / "mnist.npz", tmp_path / "data.npz")
    shutil.copy(ASSETS / "mnist-teacher.safetensors", tmp_path / "teacher.safetensors")
    config = Config(
        data=DataSource(name=str(tmp_path / "data.npz")),
        teacher=TeacherSource(models=(str(tmp_path / "teacher.safetensors"),)),
    )
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, config)
    with opened(directory) as store:
        views = store.views.folder
    new = tmp_path / next(iter(names.values()))
    if "data" in names:
        (tmp_path / "data.npz").rename(new)
        lost = r"data are not at .*data\.npz: say where they lie with --data"
        with pytest.raises(InputError, match=lost), opened(directory):
            pass
        asked = replace(config, data=replace(config.data, name=str(new)))
    else:
        (tmp_path / "teacher.safetensors").rename(new)
        asked = replace(config, teacher=replace(config.teacher, models=(str(new),)))
        other = replace(config, teacher=replace(config.teacher, models=("mnist-1",)))
        with pytest.raises(InputError, match="teacher mnist-1 has changed"), opened(directory, asked=other):
            pass
    with opened(directory, asked=asked) as store:
        assert store.views.folder == views
    with opened(directory) as store:  # remembered
        assert store.config == asked
