"""What can be rebuilt of a study from its files."""

from dataclasses import replace
from pathlib import Path

import pytest

from kd.environment import current
from kd.files import write_whole
from kd.students.curve import Epoch
from kd.students.results import SeedResult, StudentResults
from space.errors import InputError
from studies.configuration.config import Config, Search
from studies.repair import repair
from studies.storage.database import database_fault
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Rung, Training
from studies.storage.rung_file import read_state, write_rung
from studies.store import create, opened, stored_config

CONFIG = Config(search=Search(trials=7))
POINT = Epoch(epoch=1, train_loss=0.5, validation_accuracy=0.9, validation_loss=0.3, seconds=1.5)
RUNG = Rung(epochs=1, curve=(POINT,), seconds=1.75)
FAILED = Rung(epochs=3, curve=(), seconds=0.25, failure="loss is nan")
STATE = bytes(range(256)) * 64


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    """A study with a trial, of which one rung was trained and the next one failed."""
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, CONFIG)
    with opened(directory) as store:
        store.study.tell(store.study.ask(), values=[0.9, 100])
        training = store.training("0123456789ab")
        for rung in (RUNG, FAILED):
            write_rung(directory, training, rung, STATE)
            store.ledger.record_rung(training, rung)
    return directory


@pytest.mark.parametrize("content", [None, b"", b"x" * 5_000], ids=["missing", "empty", "damaged"])
def test_a_lost_database_is_rebuilt_from_what_was_trained(directory: RunDirectory, content: bytes | None) -> None:
    for path in directory.path.glob("study.db*"):
        path.unlink()
    if content is not None:
        directory.database.write_bytes(content)
    lines = list(repair(directory))
    assert lines[0] == "config.json is sound"
    assert "study.db is made anew, with 2 rungs of training and 0 readings of the test split" in lines
    assert lines[-1].startswith("trials cannot be restored: ")
    assert lines[-1].endswith(f"wunderkind run --name mine --runs {directory.root}")
    with opened(directory) as store:
        assert store.ledger.rungs(store.training("0123456789ab")) == [RUNG, FAILED]
        assert store.study.trials == []
    if content is not None:
        assert (directory.path / "study.db.damaged-1").read_bytes() == content


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"search": {"trials": "many"}}'])
def test_a_lost_configuration_is_restored_from_the_database(directory: RunDirectory, content: str | None) -> None:
    directory.config.unlink()
    if content is not None:
        directory.config.write_text(content)
        with pytest.raises(InputError, match="restore it with wunderkind repair mine"):
            stored_config(directory)
    assert list(repair(directory)) == ["config.json is restored from the database", "study.db is sound"]
    assert stored_config(directory) == CONFIG


def test_a_study_of_which_nothing_is_left_is_given_the_way_to_start_again(directory: RunDirectory) -> None:
    directory.config.write_text("{")
    directory.database.write_bytes(b"")
    with pytest.raises(InputError, match="delete it, then start the study again with the preset"):
        list(repair(directory))


def test_a_sound_study_is_left_as_it_is(directory: RunDirectory) -> None:
    before = directory.database.read_bytes()
    assert list(repair(directory)) == ["config.json is sound", "study.db is sound"]
    assert directory.database.read_bytes() == before
    assert not database_fault(directory.database)
    with pytest.raises(InputError, match="no study 'other'"):
        list(repair(RunDirectory(root=directory.root, name="other")))


def test_readings_of_the_test_split_come_back_to_their_retraining(directory: RunDirectory) -> None:
    digest, epochs = "0123456789ab", CONFIG.retrain.recipe.epochs
    whole = Rung(epochs=epochs, curve=(replace(POINT, epoch=epochs),), seconds=12.34)
    with opened(directory) as store:
        views = store.retrain_views.folder.name
        trainings = [
            Training(architecture=digest, recipe=recipe, views=views, seed=0) for recipe in ("search", "retraining")
        ]
        write_rung(directory, trainings[0], RUNG, STATE)  # of the search, on the same views and with the same seed
        write_rung(directory, trainings[1], whole, STATE)
    results = StudentResults(
        architecture={},
        digest=digest,
        family="mlp",
        cost={},
        seeds=(SeedResult(seed=0, validation=0.9, test=0.875, seconds=12.3),),
        test_mean=0.875,
        test_deviation=None,
        environment=current("cpu"),
    )
    write_whole(directory.student(digest) / "results.json", results.to_json())
    for path in directory.path.glob("study.db*"):
        path.unlink()
    assert any("4 rungs of training and 1 readings" in line for line in repair(directory))
    with opened(directory) as store:
        assert [store.ledger.test_accuracy(training) for training in trainings] == [None, 0.875]


def test_a_damaged_training_state_is_none(directory: RunDirectory) -> None:
    with opened(directory) as store:
        training = store.training("0123456789ab")
    path = directory.checkpoint(training.name, 1)
    assert read_state(directory, training, 1) == STATE
    for torn in (b"", STATE[:-1], STATE[:4096] + bytes(4096) + STATE[8192:]):
        path.write_bytes(torn)
        assert read_state(directory, training, 1) is None
    path.write_bytes(STATE)
    path.with_suffix(".json").write_text("{")
    assert read_state(directory, training, 1) is None
