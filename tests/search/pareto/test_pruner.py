from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.pareto.pruner import PAIRS, ParetoPruner, Rule


@dataclass(frozen=True)
class Standing:
    number: int
    accuracy: float
    loss: float
    parameters: int


def standing(number: int, accuracy: float, loss: float, parameters: int) -> Standing:
    return Standing(number, accuracy, loss, parameters)


# few distinct values, so that ties of every kind are common
results = st.tuples(
    st.sampled_from([0.1, 0.5, 0.9]) | st.floats(0, 1),
    st.sampled_from([0.2, 1.0]) | st.floats(0, 3),
    st.sampled_from([100, 101, 110, 111, 1_000]) | st.integers(1, 10_000),
)
rungs = st.lists(results, min_size=1, max_size=30).map(
    lambda found: [standing(number, *values) for number, values in enumerate(found)]
)
peer_counts, slacks = st.integers(1, 5), st.sampled_from([1.0, 1.1, 2.0]) | st.floats(1, 100)


def is_weak(mine: Standing, others: Iterable[Standing], peers: int, slack: float) -> bool:
    pruner = ParetoPruner((1, 2), "peers", peers=peers, slack=slack)
    for standing in (*others, mine):
        enter(pruner, standing)
    return pruner.should_prune(mine.number, 1)


def enter(pruner: ParetoPruner, standing: Standing, rung: float = 1) -> None:
    pruner.report(standing.number, rung, merit=standing.accuracy, loss=standing.loss, size=standing.parameters)


def weak(rung: list[Standing], peers: int, slack: float) -> set[int]:
    """Numbers of the trials of a rung that are weak."""
    return {c.number for c in rung if is_weak(c, [o for o in rung if o is not c], peers, slack)}


MINE = standing(9, 0.9, 0.3, 1_000)


def test_weak_needs_enough_peers_of_about_its_size() -> None:
    better = standing(1, 0.95, 0.4, 1_000)
    large = standing(2, 0.99, 0.1, 1_101)
    assert not is_weak(MINE, [better, large, replace(large, number=3)], peers=2, slack=1.1)
    assert is_weak(MINE, [better, replace(better, number=3), large], peers=2, slack=1.1)
    assert is_weak(MINE, [better, standing(3, 0.9, 0.3, 1_100)], peers=2, slack=1.1)


def test_larger_peers_alone_make_no_candidate_weak() -> None:
    # the smallest student of mnist-quick, 768 parameters, was pruned by peers of up to 844
    larger = [standing(number, 0.95, 0.2, 1_050) for number in range(3)]
    assert not is_weak(MINE, larger, peers=3, slack=1.1)
    assert is_weak(MINE, [*larger, standing(3, 0.9, 0.3, 999)], peers=3, slack=1.1)


def test_the_loss_decides_between_equal_accuracies() -> None:
    assert is_weak(MINE, [standing(1, 0.9, 0.2, 1_000)], peers=1, slack=1.0)
    assert not is_weak(MINE, [standing(1, 0.9, 0.4, 1_000)], peers=1, slack=1.0)


def test_of_equals_only_the_later_one_is_weak() -> None:
    assert is_weak(MINE, [replace(MINE, number=8)], peers=1, slack=1.0)
    assert not is_weak(MINE, [replace(MINE, number=10)], peers=1, slack=1.0)


@given(rungs, peer_counts, slacks)
def test_a_candidate_that_no_other_dominates_is_never_weak(rung: list[Standing], peers: int, slack: float) -> None:
    pruned = weak(rung, peers, slack)
    for mine in rung:
        # in words of its own: none is no larger and at least as good, equals counting as good only if they came earlier
        rivals = [
            o
            for o in rung
            if o.parameters <= mine.parameters
            and (o.accuracy > mine.accuracy or (o.accuracy == mine.accuracy and o.loss <= mine.loss))
        ]
        equal = {
            o.number
            for o in rivals
            if (o.accuracy, o.loss, o.parameters) == (mine.accuracy, mine.loss, mine.parameters)
        }
        if {o.number for o in rivals} == equal and min(equal) == mine.number:
            assert mine.number not in pruned


@given(rungs, peer_counts, slacks)
def test_every_size_and_quality_on_the_front_survives(rung: list[Standing], peers: int, slack: float) -> None:
    kept = [c for c in rung if c.number not in weak(rung, peers, slack)]
    assert {min(c.parameters for c in kept)} == {min(c.parameters for c in rung)}
    assert max(c.accuracy for c in kept) == max(c.accuracy for c in rung)


@given(rungs, peer_counts, slacks)
def test_more_peers_or_less_slack_prune_no_more(rung: list[Standing], peers: int, slack: float) -> None:
    pruned = weak(rung, peers, slack)
    assert weak(rung, peers + 1, slack) <= pruned
    assert weak(rung, peers, 1.0) <= pruned


def test_a_trial_that_is_entered_again_counts_once() -> None:
    for peers, number, expected in ((2, 0, False), (1, 0, True), (200, 199, True)):
        pruner = ParetoPruner((1, 2), "peers", peers=peers, slack=1.0)
        for entered in (*range(200), *range(200)):
            enter(pruner, standing(entered, 0.5, 1.0, 1_000 + entered))
        better = standing(500, 0.9, 0.1, 900)
        enter(pruner, better)
        enter(pruner, better)
        assert pruner.should_prune(number, 1) == expected


@pytest.mark.parametrize("rule", ["extrapolation", "peers", "asha", "none"])
@given(rung=rungs, finished=st.lists(results, max_size=12))
def test_no_rule_prunes_what_none_dominates(
    rule: Rule, rung: list[Standing], finished: list[tuple[float, float, int]]
) -> None:
    pruner = ParetoPruner((1, 9), rule, peers=1, certainty=0, reduction=100)
    for mine in rung:
        enter(pruner, mine)
    for mine, (merit, loss, _) in zip(rung, finished, strict=False):
        enter(pruner, replace(mine, accuracy=merit, loss=loss), 9)
    smallest = min(rung, key=lambda s: (s.parameters, -s.accuracy, s.loss, s.number))
    best = min(rung, key=lambda s: (-s.accuracy, s.loss, s.parameters, s.number))
    assert not pruner.should_prune(smallest.number, 1)
    assert not pruner.should_prune(best.number, 1)
    assert not pruner.should_prune(rung[0].number, 9) if finished else True


def halving(certainty: float, noise: float) -> ParetoPruner:
    """Eight finished trials of one size whose error halves, more or less, from the first rung to the last."""
    pruner = ParetoPruner((1, 9), "extrapolation", certainty=certainty)
    for number in range(PAIRS + 2):
        error = 0.1 * 1.2**number
        pruner.report(number, 1, merit=1 - error, size=1_000)
        pruner.report(number, 9, merit=1 - error / 2 * 10 ** (-noise if number % 2 else noise), size=1_000)
    return pruner


def test_extrapolation_prunes_what_will_not_reach_the_front() -> None:
    pruner = halving(certainty=1, noise=0.01)
    pruner.report(20, 1, merit=0.89, size=1_000)
    pruner.report(21, 1, merit=0.91, size=1_000)
    pruner.report(22, 1, merit=0.89, size=999)
    assert pruner.should_prune(20, 1)
    assert not pruner.should_prune(21, 1)
    assert not pruner.should_prune(22, 1)  # smaller than all that have finished


def test_extrapolation_is_careful_where_the_first_rung_says_little() -> None:
    for noise, expected in ((0.01, True), (0.15, False)):
        pruner = halving(certainty=1, noise=noise)
        pruner.report(20, 1, merit=0.89, size=1_000)
        assert pruner.should_prune(20, 1) == expected
    pruner = halving(certainty=9, noise=0.01)
    pruner.report(20, 1, merit=0.89, size=1_000)
    assert not pruner.should_prune(20, 1)


def test_asha_keeps_a_share_of_every_rung_by_fronts_and_spread() -> None:
    pruner = ParetoPruner((1, 9), "asha", reduction=3)
    for number in range(30):
        front, place = divmod(number, 10)
        pruner.report(number, 1, merit=0.9 - 0.1 * front - 0.01 * (10 - place), size=1_000 * (place + 1))
    kept = {number for number in range(30) if not pruner.should_prune(number, 1)}
    assert kept == set(range(10))


@pytest.mark.parametrize("rule", ["extrapolation", "peers", "asha"])
def test_what_is_smaller_in_either_cost_is_not_pruned(rule: Rule) -> None:
    pruner = ParetoPruner((1, 9), rule, peers=1, reduction=100)
    for number in range(8):
        pruner.report(number, 1, merit=0.9, size=(1_000, 50_000))
        pruner.report(number, 9, merit=0.99 - 0.001 * number, size=(1_000, 50_000))
    pruner.report(20, 1, merit=0.5, size=(2_000, 40_000))
    pruner.report(21, 1, merit=0.5, size=(900, 90_000))
    pruner.report(22, 1, merit=0.5, size=(2_000, 60_000))
    assert [pruner.should_prune(number, 1) for number in (20, 21, 22)] == [False, False, True]
