import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd.students.curve import Epoch
from kd.students.file import save_student
from kd.teachers.source import TeacherSource
from space.architecture import Architecture
from space.blocks.mlp import Dense
from space.network import build
from studies.configuration.config import Config, Retrain, Search, Space
from studies.front import (
    are_retrained,
    chosen,
    front,
    is_done,
    is_searched,
    most_chosen,
    retraining_jobs,
    spread,
    student_front,
)
from studies.records import (
    OUTCOMES,
    Outcome,
    SeedRecord,
    StudentRecord,
    TrialRecord,
    student_records,
    trial_records,
)
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Rung
from studies.store import create, opened


def student(width: int) -> Architecture:
    """13·width + 10 parameters."""
    return Architecture(family="mlp", shape=(1, 1, 1), classes=10, blocks=(Dense(width=width),))


def trial(number: int, width: int, accuracy: float | None, outcome: Outcome = "complete") -> TrialRecord:
    return TrialRecord(
        number=number,
        outcome=outcome,
        reason="",
        architecture=student(width),
        cost=student(width).cost(),
        epochs=0 if accuracy is None else 9,
        accuracy=accuracy,
        loss=0.1,
        seconds=1.0,
        curve=(),
    )


trials = st.lists(
    st.builds(trial, st.integers(0, 10_000), st.integers(1, 40), st.integers(0, 20).map(lambda n: n / 20)),
    max_size=25,
    unique_by=lambda record: record.number,
)


def dominates(one: TrialRecord, other: TrialRecord) -> bool:
    assert one.accuracy is not None
    assert other.accuracy is not None
    no_worse = one.accuracy >= other.accuracy and one.cost.parameters <= other.cost.parameters
    return no_worse and (one.accuracy, one.cost.parameters) != (other.accuracy, other.cost.parameters)


@given(trials)
def test_the_front_is_the_pareto_set_without_doubles(records: list[TrialRecord]) -> None:
    points = front(records, 0)
    undominated = {
        (r.cost.parameters, r.accuracy) for r in records if not any(dominates(other, r) for other in records)
    }
    assert [(p.cost.parameters, p.accuracy) for p in points] == sorted(undominated)
    for point in points:
        twins = [r.number for r in records if (r.cost, r.accuracy) == (point.cost, point.accuracy)]
        assert point.number == min(twins)


@given(trials.flatmap(lambda records: st.tuples(st.just(records), st.permutations(records))))
def test_the_front_does_not_depend_on_the_order(records: tuple[list[TrialRecord], list[TrialRecord]]) -> None:
    assert front(records[0], 0) == front(records[1], 0)


def test_only_complete_trials_are_on_the_front() -> None:
    others = [trial(n, 1, 1.0, outcome) for n, outcome in enumerate(OUTCOMES) if outcome != "complete"]
    assert front([*others, trial(9, 2, 0.5), trial(10, 1, None)], 0) == [trial(9, 2, 0.5)]


def test_no_trials_have_no_front() -> None:
    assert front([], 0) == []
    assert spread([], 3) == []


POINTS = [trial(n, width, n / 10) for n, width in enumerate((1, 2, 4, 8, 16, 32, 64, 128, 256))]


@given(st.integers(1, 9))
def test_spread_takes_that_many_in_order_with_the_ends(count: int) -> None:
    chosen = spread(POINTS, count)
    assert len(chosen) == count
    assert chosen == [point for point in POINTS if point in chosen]
    assert POINTS[-1] in chosen
    assert count == 1 or POINTS[0] in chosen


def test_spread_is_even_over_log_size() -> None:
    crowded = [trial(n, width, n / 10) for n, width in enumerate((1, 60, 62, 64, 66, 68, 4_000))]
    middle = spread(crowded, 3)[1]
    assert 60 <= (middle.cost.parameters - 10) / 13 <= 68
    assert [(point.cost.parameters - 10) // 13 for point in spread(POINTS, 5)] == [1, 4, 16, 64, 256]


def test_spread_without_a_count_or_with_few_points_takes_all() -> None:
    assert spread(POINTS, 0) == POINTS
    assert spread(POINTS, 50) == POINTS


def retrained(
    width: int, validations: Sequence[float | None], tests: list[float], searched: float | None = None
) -> StudentRecord:
    seeds = tuple(
        SeedRecord(seed=n, validation=v, test=t, seconds=1.0, curve=())
        for n, (v, t) in enumerate(zip(validations, tests, strict=True))
    )
    return StudentRecord(
        trial=0, searched=searched, architecture=student(width), cost=student(width).cost(), seeds=seeds
    )


def test_means_and_deviations_over_seeds() -> None:
    record = retrained(1, [0.9, 0.8], [0.98, 0.96])
    assert record.validation == pytest.approx(0.85)
    assert record.test == pytest.approx(0.97)
    assert record.test_deviation == pytest.approx(0.01 * math.sqrt(2))
    assert math.isnan(retrained(1, [0.9], [0.9]).test_deviation)


def test_retrained_students_are_chosen_on_validation_never_on_test() -> None:
    small, large = retrained(1, [0.9], [0.5]), retrained(2, [0.8], [0.99])
    assert student_front([large, small]) == [small]


def test_students_that_saw_validation_samples_are_chosen_by_the_search() -> None:
    small, large = retrained(1, [None], [0.5], searched=0.9), retrained(2, [None], [0.99], searched=0.8)
    stranger = retrained(3, [None, None], [0.99, 0.99])
    assert [s.validation for s in (small, large, stranger)] == [None, None, None]
    assert [s.merit for s in (small, large, stranger)] == [0.9, 0.8, None]
    assert student_front([large, small, stranger]) == [small]
    assert retrained(1, [0.7], [0.5], searched=0.9).merit == 0.7


def test_students_are_retrained_when_they_have_all_seeds() -> None:
    half, whole = retrained(1, [0.9], [0.9]), retrained(2, [0.9, 0.9], [0.9, 0.9])
    assert are_retrained([student(2)], 1, [half, whole])
    assert are_retrained([student(1), student(2)], 1, [half, whole])
    assert not are_retrained([student(1), student(2)], 2, [half, whole])
    assert not are_retrained([student(3)], 1, [half, whole])


def test_a_study_is_done_when_its_front_is_retrained() -> None:
    config = Config(search=Search(trials=3), retrain=Retrain(points=2, seeds=2))
    trials = [trial(0, 1, 0.91), trial(1, 2, 0.92), trial(2, 3, 0.93)]
    ends = [retrained(width, [0.9, 0.9], [0.9, 0.9]) for width in (1, 3)]
    assert [point.architecture for point in chosen(trials, config)] == [student(1), student(3)]
    assert is_done(trials, ends, config)
    assert not is_done(trials, ends[:1], config)
    others = [trial(3, 4, None, "rejected"), trial(4, 3, None, "duplicate")]
    assert not is_searched([*trials[:2], *others], config)
    assert is_searched([*trials, *others], config)
    assert not is_searched([*trials, trial(3, 4, None, "unfinished")], config)


def test_of_sizes_that_are_searched_at_the_best_students_are_retrained() -> None:
    widths = [(1, 0.9), (2, 0.92), (3, 0.93), (4, 0.91), (5, 0.95)]
    trials = [trial(number, width, merit) for number, (width, merit) in enumerate(widths)]
    sizes = tuple(student(width).cost().parameters for width in (2, 4, 6))
    for points, expected in ((0, [2, 3, 5]), (2, [2, 5])):
        config = Config(space=Space(sizes=sizes), search=Search(trials=5), retrain=Retrain(points=points))
        assert [point.architecture for point in chosen(trials, config)] == [student(width) for width in expected]
        assert most_chosen(config) == (points or 3)
    tiny = Config(space=Space(sizes=(1,)), search=Search(trials=5))
    assert chosen(trials, tiny) == []
    assert [most_chosen(Config(retrain=Retrain(points=points))) for points in (0, 4)] == [0, 4]


def epoch(number: int) -> Epoch:
    return Epoch(epoch=number, train_loss=1.0, validation_accuracy=number / 10, validation_loss=1 / number, seconds=1.0)


@pytest.mark.parametrize(
    ("outcome", "limit", "epochs"),
    [("complete", 9, 3), ("pruned", 1, 1), ("rejected", 9, 0), ("duplicate", 9, 0)],
)
def test_a_trial_is_read_from_optuna_and_the_ledger(
    outcome: Outcome, limit: int, epochs: int, tmp_path: Path, teacher_path: Path
) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    create(run, Config(teacher=TeacherSource(models=(str(teacher_path),))))
    with opened(run) as store:
        started = store.study.ask()
        assert trial_records(store) == []
        for key, value in {
            "architecture": student(2).to_json(),
            "outcome": outcome,
            "reason": "because",
            "epochs": limit,
        }.items():
            started.set_user_attr(key, value)
        training = store.training(student(2).digest)
        store.ledger.record_rung(training, Rung(epochs=1, curve=(epoch(1),), seconds=2.0))
        store.ledger.record_rung(training, Rung(epochs=3, curve=(epoch(2), epoch(3)), seconds=3.0))
        (record,) = trial_records(store)
        assert (record.number, record.outcome, record.reason) == (0, outcome, "because")
        assert record.architecture == student(2)
        assert record.epochs == epochs
        assert record.trained == (epochs > 0)
        assert record.curve == tuple(epoch(n) for n in range(1, epochs + 1))
        assert record.accuracy == (epochs / 10 if epochs else None)
        assert record.seconds == {0: 0, 1: 2.0, 3: 5.0}[epochs]


def test_students_are_those_with_a_test_reading(tmp_path: Path, teacher_path: Path) -> None:
    run = RunDirectory(root=tmp_path, name="mine")
    create(run, Config(teacher=TeacherSource(models=(str(teacher_path),))))
    with opened(run) as store:
        for width, seeds in ((5, (0, 10, 2)), (3, (0,)), (4, ())):
            folder = run.student(student(width).digest)
            folder.mkdir(parents=True)
            (folder / "architecture.json").write_text(json.dumps(json.loads(student(width).to_json())))
            for seed in seeds:
                training = store.training(student(width).digest, seed)
                store.ledger.record_rung(training, Rung(epochs=1, curve=(epoch(1),), seconds=2.0))
                store.ledger.record_test(training, 0.9 + seed / 1_000)
                save_student(
                    folder / f"seed-{seed}.safetensors", build(student(width)).state_dict(), student(width), store.data
                )
            (folder / "seed-7.safetensors").touch()
        records = student_records(store)
        left = retraining_jobs(store, [student(3), student(5)], 3)
    jobs = [(job.architecture, job.training.seed) for job in left]
    assert jobs == [(student(5), 1), (student(3), 1), (student(3), 2)]
    assert [record.architecture for record in records] == [student(3), student(5)]
    assert [seed.seed for seed in records[1].seeds] == [0, 2, 10]
    assert records[1].test == pytest.approx(0.904)
    assert records[1].trial is None
