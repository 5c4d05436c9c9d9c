"""Studies at a glance, from their files alone."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.trial import Trial, TrialState

from space.architecture import Architecture
from space.blocks.mlp import Dense
from studies.configuration.config import Config, Retrain, Search
from studies.overview import BestStudent, StudySummary, UnreadableStudy, summaries, summarise
from studies.records import Outcome
from studies.storage.database import database_url
from studies.storage.directory import RunDirectory
from studies.store import create


def student(width: int) -> Architecture:
    return Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=(Dense(width=width),))


def parameters(width: int) -> int:
    return student(width).cost().parameters


def begin(study: optuna.Study, width: int) -> Trial:
    """Put a suggestion on record the way the driver does."""
    trial = study.ask()
    trial.set_user_attr("digest", student(width).digest)
    trial.set_user_attr("architecture", student(width).to_json())
    return trial


def conclude(trial: Trial, outcome: Outcome, width: int = 0, accuracy: float | None = None) -> None:
    trial.set_user_attr("outcome", outcome)
    if accuracy is None:
        trial.study.tell(trial, state=TrialState.FAIL if outcome == "failed" else TrialState.PRUNED)
    else:
        trial.study.tell(trial, [accuracy, parameters(width)])


def retrain(directory: RunDirectory, width: int, tests: tuple[float, ...], validation: float | None) -> None:
    """Write what a retraining leaves of a student."""
    folder = directory.student(student(width).digest)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [{"seed": seed, "validation": validation, "test": test, "seconds": 1.0} for seed, test in enumerate(tests)]
    results = {"digest": student(width).digest, "cost": asdict(student(width).cost()), "seeds": seeds}
    (folder / "results.json").write_text(json.dumps(results))


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    """A study asked for six trials, of whose front two are to be retrained twice."""
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, Config(search=Search(trials=6, floor=0.5), retrain=Retrain(points=2, seeds=2)))
    return directory


@pytest.fixture
def study(directory: RunDirectory) -> Iterator[optuna.Study]:
    storage = optuna.storages.RDBStorage(database_url(directory.database))
    yield optuna.create_study(storage=storage, study_name="mine", directions=["maximize", "minimize"])
    storage.engine.dispose()


def summary(directory: RunDirectory) -> StudySummary:
    found = summarise(directory)
    assert isinstance(found, StudySummary), found
    return found


def test_a_study_is_followed_from_its_first_trial_to_its_end(directory: RunDirectory, study: optuna.Study) -> None:
    assert (summary(directory).state, summary(directory).trials, summary(directory).asked) == ("new", 0, 6)
    for width, accuracy in ((1, 0.7), (2, 0.6), (3, 0.8), (5, 0.9)):  # the second is dominated
        conclude(begin(study, width), "complete", width, accuracy)
    conclude(begin(study, 40), "rejected")
    conclude(begin(study, 3), "duplicate")
    conclude(begin(study, 6), "pruned")
    assert (summary(directory).state, summary(directory).trials, summary(directory).front) == ("stopped", 5, 3)
    last = begin(study, 7)
    with directory.locked():
        assert (summary(directory).state, summary(directory).trials) == ("searching", 6)
    conclude(last, "failed")
    with directory.locked():
        assert summary(directory).state == "retraining"
    assert (summary(directory).state, summary(directory).best) == ("stopped", None)
    retrain(directory, 1, (0.71, 0.73), validation=0.74)
    retrain(directory, 5, (0.91,), validation=0.93)
    assert summary(directory).state == "stopped"  # a seed is missing
    retrain(directory, 5, (0.91, 0.92), validation=0.93)
    assert summary(directory).state == "finished"
    assert summary(directory).best == BestStudent(parameters=parameters(5), test=0.915)


def test_trials_below_the_floor_are_in_the_front_only_if_all_are(directory: RunDirectory, study: optuna.Study) -> None:
    conclude(begin(study, 1), "complete", 1, 0.3)
    assert summary(directory).front == 1
    conclude(begin(study, 2), "complete", 2, 0.8)
    assert summary(directory).front == 1
    conclude(begin(study, 3), "complete", 3, 0.9)
    assert summary(directory).front == 2


def test_the_best_is_chosen_by_validation_never_by_test(directory: RunDirectory, study: optuna.Study) -> None:
    retrain(directory, 1, (0.99,), validation=0.7)
    retrain(directory, 2, (0.80,), validation=0.9)
    assert summary(directory).best == BestStudent(parameters=parameters(2), test=0.8)
    retrain(directory, 1, (0.99,), validation=None)
    retrain(directory, 2, (0.80,), validation=None)
    assert summary(directory).best is None  # there is no validation accuracy to choose by
    conclude(begin(study, 1), "complete", 1, 0.6)
    conclude(begin(study, 2), "complete", 2, 0.5)
    assert summary(directory).best == BestStudent(parameters=parameters(1), test=0.99)  # the search knows one


def test_students_without_a_search_are_distilled(directory: RunDirectory) -> None:
    retrain(directory, 4, (0.9, 0.92), validation=0.91)
    assert (summary(directory).state, summary(directory).trials, summary(directory).front) == ("distilled", 0, 0)
    with directory.locked():
        assert summary(directory).state == "retraining"


def test_the_last_change_is_that_of_the_newest_file(directory: RunDirectory, study: optuna.Study) -> None:
    retrain(directory, 4, (0.9, 0.92), validation=0.91)
    before = max(path.stat().st_mtime for path in directory.path.rglob("*") if path.is_file())
    assert summary(directory).changed == datetime.fromtimestamp(before)
    assert summary(directory).changed == datetime.fromtimestamp(before)  # reading is no change


def test_studies_are_listed_by_name_and_broken_ones_with_the_reason(
    directory: RunDirectory, study: optuna.Study
) -> None:
    root = directory.root
    conclude(begin(study, 1), "complete", 1, 0.7)
    for name in ("a-config", "b-keys", "c-database", "d-tables", "e-results", "f-attributes"):
        shutil.copytree(directory.path, root / name)
    (root / "a-config" / "config.json").write_text("{")
    (root / "b-keys" / "config.json").write_text('{"search": {}}')
    for file in (root / "c-database").glob("study.db*"):
        file.unlink()
    (root / "c-database" / "study.db").write_bytes(b"something else" * 1_000)
    for file in (root / "d-tables").glob("study.db*"):
        file.unlink()
    (root / "d-tables" / "study.db").touch()
    (root / "e-results" / "students" / "0123456789ab").mkdir(parents=True)
    (root / "e-results" / "students" / "0123456789ab" / "results.json").write_text("[]")
    (root / "f-attributes" / "students" / "0123456789ab" / "results.json").mkdir(parents=True)
    for name in (".views", "no study"):
        (root / name).mkdir()
        (root / name / "config.json").write_text("{}")
    found = summaries(root)
    assert [one.name for one in found] == sorted({path.name for path in root.iterdir()} - {".views", "no study"})
    reasons = {one.name: one.reason for one in found if isinstance(one, UnreadableStudy)}
    assert "mine" not in reasons
    for name, words in (
        ("a-config", "damaged or of another version"),
        ("b-keys", "'trials'"),
        ("c-database", "study.db: file is not a database"),
        ("d-tables", "study.db: no such table: trials"),
        ("e-results", "damaged or of another version"),
        ("f-attributes", "Is a directory"),
    ):
        assert words in reasons[name]


def test_a_study_can_be_looked_at_while_it_is_written(directory: RunDirectory, study: optuna.Study) -> None:
    trial = begin(study, 1)
    with directory.locked():
        assert summary(directory).trials == 1
        trial.set_user_attr("reason", "none")  # what follows is written into the log beside the database
        conclude(trial, "complete", 1, 0.7)
        assert summary(directory).front == 1
