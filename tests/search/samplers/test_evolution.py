import math
import random

from hypothesis import given
from hypothesis import strategies as st

from search.samplers.evolution import NEAR, choose, nearest
from space.architecture import Architecture
from space.blocks.mlp import Dense
from studies.records import TrialRecord


def trial(number: int, error: float, width: int) -> TrialRecord:
    architecture = Architecture(family="mlp", shape=(1, 1, 1), classes=10, blocks=(Dense(width=width),))
    return TrialRecord(
        number=number,
        outcome="complete",
        reason="",
        architecture=architecture,
        cost=architecture.cost(),
        epochs=1,
        accuracy=1 - error,
        loss=error,
        seconds=1.0,
        curve=(),
    )


def test_parents_are_mostly_on_the_front_and_spread_over_size() -> None:
    generator = random.Random(0)
    widths = [round(20 * 40 ** (k / 199)) for k in range(200)]
    # an error that falls with the size, and for every second trial twice that
    population = [trial(k, (2 if k % 2 else 1) / (width + k), width) for k, width in enumerate(widths)]
    chosen = [choose(population, generator) for _ in range(1_000)]
    on_front = sum(parent.number % 2 == 0 for parent in chosen)
    assert 800 <= on_front < 1_000
    for quarter in range(4):
        assert 200 <= sum(parent.number // 50 == quarter for parent in chosen) <= 300


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.floats(2, 7))
def test_the_nearest_are_those_that_a_search_of_all_finds(widths: list[int], target: float) -> None:
    population = [trial(number, 0.5, width) for number, width in enumerate(sorted(widths))]

    def distance(record: TrialRecord) -> float:
        return abs(math.log(record.cost.parameters) - target)

    found = [distance(record) for record in nearest(population, target)]
    assert found == sorted(map(distance, population))[:NEAR]


def test_a_single_trial_is_every_childs_parent() -> None:
    only = trial(0, 0.1, 3)
    assert choose([only], random.Random(0)) is only
