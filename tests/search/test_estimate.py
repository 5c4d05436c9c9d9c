import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.estimate import RemainingTraining, search_seconds, training_seconds
from space.architecture import Architecture
from space.blocks.mlp import Dense
from studies.records import Outcome, TrialRecord


def training(epochs: float, speed: float | None = 2.0) -> RemainingTraining:
    return RemainingTraining(epochs=epochs, seconds_per_epoch=speed)


def test_fewer_trainings_than_slots_take_as_long_as_the_longest() -> None:
    assert training_seconds([training(40), training(10), training(40)], slots=8) == 80
    assert training_seconds([training(40)], slots=8) == training_seconds([training(40)], slots=1) == 80


def test_trainings_take_the_slot_that_is_free_first() -> None:
    trainings = [training(40), training(30), training(20), training(20)]
    assert training_seconds(trainings, slots=2) == 2 * (30 + 20 + 20 - 10)
    assert training_seconds(trainings, slots=1) == 220


def test_what_was_not_measured_is_as_fast_as_the_mean() -> None:
    assert training_seconds([training(10, 1.0), training(10, 3.0), training(10, None)], slots=1) == 60
    assert training_seconds([training(10, None)], slots=1) is None


def test_nothing_left_takes_no_time() -> None:
    assert training_seconds([], slots=2) == 0
    assert training_seconds([training(0, None)], slots=2) == 0


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(1, 10))
def test_the_estimate_falls_with_every_epoch_and_lies_between_its_bounds(epochs: list[int], slots: int) -> None:
    found = training_seconds([training(n) for n in epochs], slots)
    assert found is not None
    assert max(2 * max(epochs), 2 * sum(epochs) / slots) <= found <= 2 * sum(epochs)
    if max(epochs) > 0 and slots >= len(epochs):
        further = training_seconds([training(max(0, n - 1)) for n in epochs], slots)
        assert further == found - 2


def trial(outcome: Outcome, epochs: float, seconds: float) -> TrialRecord:
    architecture = Architecture(family="mlp", shape=(1, 1, 1), classes=10, blocks=(Dense(width=3),))
    return TrialRecord(
        number=0,
        outcome=outcome,
        reason="",
        architecture=architecture,
        cost=architecture.cost(),
        epochs=epochs,
        accuracy=None,
        loss=None,
        seconds=seconds,
        curve=(),
    )


RUNGS = (1, 3, 9)


def test_trials_to_come_go_from_rung_to_rung_as_often_as_those_before() -> None:
    # of a hundred half go on after the first rung, and all of those after the second
    trials = [trial("complete", 9, 90.0)] * 50 + [trial("pruned", 1, 10.0)] * 50 + [trial("rejected", 0, 0.0)]
    expected = 1 + 0.5 * (2 + 6)
    one = search_seconds(trials, wanted=200, slots=1, rungs=RUNGS)
    assert one == pytest.approx(100 * expected * 10, rel=0.06)
    assert search_seconds(trials, wanted=200, slots=2, rungs=RUNGS) == pytest.approx(50 * expected * 10, rel=0.06)
    assert search_seconds(trials, wanted=101, slots=50, rungs=RUNGS) == pytest.approx(expected * 10, rel=0.06)
    assert search_seconds(trials, wanted=100, slots=1, rungs=RUNGS) == 0


def test_what_trials_under_way_have_trained_is_not_left() -> None:
    done = [trial("complete", 9, 90.0)] * 96
    under_way = [trial("unfinished", 3, 30.0), trial("unfinished", 0, 0.0)]
    found = search_seconds([*done, *under_way], wanted=98, slots=1, rungs=RUNGS)
    assert found == pytest.approx((6 + 9) * 10, rel=0.06)
    assert found == search_seconds([*done, *under_way], wanted=1, slots=1, rungs=RUNGS)


def test_weak_ones_that_end_first_do_not_make_the_rest_look_short() -> None:
    # the random start: all wait at the first rung, two were pruned there
    trials = [trial("pruned", 1, 10.0)] * 2 + [trial("unfinished", 1, 10.0)] * 12
    found = search_seconds(trials, wanted=14, slots=1, rungs=RUNGS)
    assert found is not None and found > 80


def test_before_anything_is_trained_the_time_is_unknown() -> None:
    assert search_seconds([], wanted=3, slots=1, rungs=RUNGS) is None
    assert search_seconds([trial("unfinished", 0, 0.0)], wanted=3, slots=1, rungs=RUNGS) is None
