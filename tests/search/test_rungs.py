from collections.abc import Iterator
from pathlib import Path

import pytest

from kd.data.dataset import DataSet
from kd.distil.train import RungResult
from kd.students.curve import Epoch
from kd.teachers.source import TeacherSource
from search.rungs import Stretch, next_stretch, record_rung, rung_at, state_at
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Training
from studies.store import Store, create, opened


@pytest.fixture
def store(small_data: DataSet, teacher_path: Path, tmp_path: Path) -> Iterator[Store]:
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, Config(teacher=TeacherSource(models=(str(teacher_path),))))
    with opened(directory, small_data) as store:
        yield store


@pytest.fixture
def training(store: Store) -> Training:
    """Rungs to 1, 3 and 9 epochs, each with its state."""
    training = store.training("0123456789ab")
    for start, stop in ((0, 1), (1, 3), (3, 9)):
        record_rung(store, training, stop, result(start, stop), 0.0)
    return training


def result(start: int, stop: int, failure: str | None = None) -> RungResult:
    curve = tuple(
        Epoch(epoch=epoch, train_loss=1.0, validation_accuracy=0.5, validation_loss=1.0, seconds=2.0)
        for epoch in range(start + 1, stop + 1 - (failure is not None))
    )
    return RungResult(
        curve=curve, checkpoint=f"state at {stop}".encode(), seconds=2.0 * (stop - start), failure=failure
    )


def stretch(store: Store, training: Training, stop: float) -> Stretch:
    return next_stretch(store, training, store.ledger.rungs(training), stop)


def lose(store: Store, training: Training, *epochs: float) -> None:
    for stop in epochs:
        store.directory.checkpoint(training.name, stop).unlink()


def test_training_starts_at_the_beginning_and_goes_on_from_the_longest_state(store: Store, training: Training) -> None:
    fresh = store.training("fedcba987654")
    assert stretch(store, fresh, 1) == Stretch(start=0, stop=1, state=None)
    assert stretch(store, training, 27) == Stretch(start=9, stop=27, state=b"state at 9")
    assert stretch(store, training, 5) == Stretch(start=3, stop=5, state=b"state at 3")


def test_a_lost_state_is_made_again_by_its_own_rung(store: Store, training: Training) -> None:
    lose(store, training, 3, 9)
    assert stretch(store, training, 27) == Stretch(start=1, stop=3, state=b"state at 1")
    lose(store, training, 1)
    assert stretch(store, training, 27) == Stretch(start=0, stop=1, state=None)
    before = store.ledger.rungs(training)
    record_rung(store, training, 1, result(0, 1), 0.0)
    assert store.ledger.rungs(training) == before
    assert stretch(store, training, 27) == Stretch(start=1, stop=3, state=b"state at 1")


def test_a_failed_rung_is_known_but_leaves_no_state(store: Store, training: Training) -> None:
    record_rung(store, training, 27, result(9, 27, failure="loss is nan"), 0.0)
    known = rung_at(store.ledger.rungs(training), 27)
    assert known is not None
    assert (known.failure, known.curve[-1].epoch, known.seconds) == ("loss is nan", 26, 36)
    assert state_at(store, training, store.ledger.rungs(training), 27) is None
    assert not store.directory.checkpoint(training.name, 27).exists()
    assert stretch(store, training, 27) == Stretch(start=9, stop=27, state=b"state at 9")
