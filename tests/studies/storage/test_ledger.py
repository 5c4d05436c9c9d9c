from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from kd.students.curve import Epoch
from studies.storage.ledger import Ledger, Rung, Training

TRAINING = Training(architecture="a" * 12, recipe="r" * 12, views="v" * 16, seed=0)


def epoch(number: int, accuracy: float = 0.9) -> Epoch:
    return Epoch(epoch=number, train_loss=1 / 3, validation_accuracy=accuracy, validation_loss=0.1 + 0.2, seconds=1.5)


def rung(epochs: int, accuracy: float = 0.9) -> Rung:
    return Rung(
        epochs=epochs,
        curve=tuple(epoch(number, accuracy) for number in range(1, epochs + 1)),
        seconds=2.5,
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = Ledger(url)
    yield ledger
    ledger.close()


def test_what_was_recorded_is_there_bit_for_bit_shortest_first(ledger: Ledger) -> None:
    for epochs in (3, 1):
        ledger.record_rung(TRAINING, rung(epochs))
    assert ledger.rungs(TRAINING) == [rung(1), rung(3)]


def test_a_new_process_reads_it(ledger: Ledger, url: str) -> None:
    ledger.record_rung(TRAINING, rung(1))
    ledger.record_test(TRAINING, 0.99)
    again = Ledger(url)
    assert again.rungs(TRAINING) == [rung(1)]
    assert again.test_accuracy(TRAINING) == 0.99
    again.close()


def test_the_first_record_stays(ledger: Ledger) -> None:
    ledger.record_rung(TRAINING, rung(1))
    ledger.record_rung(TRAINING, rung(1, accuracy=0.1))
    assert ledger.rungs(TRAINING) == [rung(1)]
    ledger.record_test(TRAINING, 0.99)
    ledger.record_test(TRAINING, 0.5)
    assert ledger.test_accuracy(TRAINING) == 0.99


def test_a_failure_keeps_its_reason(ledger: Ledger) -> None:
    failed = replace(rung(3), failure="loss is nan in epoch 3", curve=(epoch(2),))
    ledger.record_rung(TRAINING, rung(1))
    ledger.record_rung(TRAINING, failed)
    assert ledger.rungs(TRAINING) == [rung(1), failed]


def test_trained_epochs_are_summed_over_all_trainings(ledger: Ledger) -> None:
    assert ledger.trained_epochs() == 0
    other = replace(TRAINING, seed=1)
    ledger.record_rung(TRAINING, rung(1))
    ledger.record_rung(TRAINING, rung(3))
    ledger.record_rung(other, rung(2))
    ledger.record_rung(other, replace(rung(9), failure="loss is nan in epoch 4"))
    assert ledger.trained_epochs() == 5


@pytest.mark.parametrize(
    "other",
    [
        replace(TRAINING, architecture="b" * 12),
        replace(TRAINING, recipe="s" * 12),
        replace(TRAINING, views="w" * 16),
        replace(TRAINING, seed=1),
    ],
)
def test_trainings_differ_in_every_part_of_their_key(ledger: Ledger, other: Training) -> None:
    ledger.record_rung(TRAINING, rung(1))
    ledger.record_test(TRAINING, 0.99)
    assert ledger.rungs(other) == []
    assert ledger.test_accuracy(other) is None
    assert other.name != TRAINING.name


def test_readers_never_block_the_driver(ledger: Ledger, url: str) -> None:
    ledger.record_rung(TRAINING, rung(1))
    reader = Ledger(url)
    with reader.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        connection.execute(text("SELECT * FROM wunderkind_rung")).fetchall()
        ledger.record_rung(TRAINING, rung(3))
    assert len(reader.rungs(TRAINING)) == 2
    reader.close()
