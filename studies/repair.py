"""Repair: what can be rebuilt of a study whose configuration or database is damaged or gone, and what cannot."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from kd.files import write_whole
from kd.students.results import SeedResult, StudentResults
from space.errors import InputError
from studies.configuration.file import changed, parse
from studies.storage.database import BESIDE, database_fault
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Rung, Training
from studies.storage.rung_file import rung_files
from studies.store import Store, opened, stored_config

CONFIGURATION = "SELECT value_json FROM study_user_attributes WHERE key = 'config'"


def repair(directory: RunDirectory, places: Sequence[str] = ()) -> Iterator[str]:
    """Repair a study as far as that is possible, and tell what was done and what could not be, a line each.

    Args:
        directory: the study's.
        places: where its data and teacher lie now, as `key=value`.

    Raises:
        InputError: when there is no such study, another process works on it, or its configuration is lost.
    """
    if not directory.path.is_dir():
        directory.require()
    with directory.locked():
        yield _restore_configuration(directory)
        asked = changed(stored_config(directory), places) if places else None
        fault = database_fault(directory.database)
        if not fault:
            with opened(directory, asked=asked):  # which tells if another version wrote it
                pass
            yield f"{directory.database.name} is sound"
            return
        if fault != "missing":
            yield f"{directory.database.name} is {fault}: it is kept as {_set_aside(directory.database).name}"
        with opened(directory, asked=asked, rebuilding=True) as store:
            yield f"{directory.database.name} is made anew, with {_restore_rungs(store)}"
        yield (
            "trials cannot be restored: the search suggests them again, and finds what is restored of their training, "
            f"with wunderkind run --name {directory.target}"
        )


def _restore_rungs(store: Store) -> str:
    """Restore what the files of a study say of its training, and say how much that is."""
    trained: dict[Training, list[Rung]] = {}
    for file in rung_files(store.directory):
        store.ledger.record_rung(file.training, file.rung)
        trained.setdefault(file.training, []).append(file.rung)
    tests = sum(_restore_tests(store, folder, trained) for folder in store.directory.student_folders)
    rungs = sum(map(len, trained.values()))
    return f"{rungs} rungs of training and {tests} readings of the test split"


def _restore_configuration(directory: RunDirectory) -> str:
    try:
        stored_config(directory)
    except InputError as error:
        content = _kept_configuration(directory.database)
        if content is None:
            raise InputError(
                f"{directory.config} is damaged or gone, and no copy of it is in the database: delete it, then start "
                "the study again with the preset and settings it had: wunderkind run PRESET --name "
                f"{directory.target}"
            ) from error
        write_whole(directory.config, content)
        return f"{directory.config.name} is restored from the database"
    return f"{directory.config.name} is sound"


def _kept_configuration(database: Path) -> str | None:
    """The configuration that the database keeps a copy of, if it can be read there."""
    if not database.is_file():
        return None
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            found = connection.execute(CONFIGURATION).fetchone()
        content = str(json.loads(found[0])) if found else ""
        parse(json.loads(content))
    except (sqlite3.Error, ValueError):
        return None
    return content


def _set_aside(database: Path) -> Path:
    """Rename a damaged database; what lies beside it is of no use to a new one."""
    number = 1
    while (aside := database.with_name(f"{database.name}.damaged-{number}")).exists():
        number += 1
    database.rename(aside)
    for suffix in BESIDE:
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    return aside


def _restore_tests(store: Store, folder: Path, trained: Mapping[Training, Sequence[Rung]]) -> int:
    """Restore a student's readings of the test split from its results; gives their number."""
    try:
        results = StudentResults.from_json(folder / "results.json")
    except InputError:
        return 0
    found = 0
    for seed in results.seeds:
        for training, rungs in trained.items():
            if (training.architecture, training.seed) == (folder.name, seed.seed) and _is_of(
                store, seed, training, rungs
            ):
                store.ledger.record_test(training, seed.test)
                found += 1
    return found


def _is_of(store: Store, seed: SeedResult, training: Training, rungs: Sequence[Rung]) -> bool:
    """Whether a seed's results are those of a training, which may be of the search: told by length and seconds."""
    whole = rungs[-1].epochs == store.config.retrain.recipe.epochs
    same_seconds = round(sum(rung.seconds for rung in rungs), 1) == seed.seconds
    return whole and same_seconds and training.views == store.retrain_views.folder.name
