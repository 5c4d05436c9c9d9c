import math
import random

import optuna
from hypothesis import given
from hypothesis import strategies as st

from search.samplers.evolution import choose, fronts

values = st.floats(0, 4, allow_subnormal=False).map(lambda value: round(value, 1))


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a != b and a[0] <= b[0] and a[1] <= b[1]


@given(st.lists(st.tuples(values, values), unique=True, max_size=40))
def test_a_front_is_dominated_by_the_one_before_it_and_never_by_itself(points: list[tuple[float, float]]) -> None:
    numbers = fronts(points)
    for point, number in zip(points, numbers, strict=True):
        above = [other for other, front in zip(points, numbers, strict=True) if front == number - 1]
        same = [other for other, front in zip(points, numbers, strict=True) if front == number]
        assert number == 0 or any(dominates(other, point) for other in above)
        assert not any(dominates(other, point) for other in same)


def test_of_equal_points_the_later_is_behind() -> None:
    assert fronts([(1.0, 1.0), (1.0, 1.0), (2.0, 0.0)]) == [0, 1, 0]


def trials(points: list[tuple[float, float]]) -> list[optuna.trial.FrozenTrial]:
    return [optuna.trial.create_trial(values=list(point)) for point in points]


def test_parents_are_mostly_on_the_front_and_spread_over_size() -> None:
    generator = random.Random(0)
    sizes = [2.4 + 1.6 * k / 199 for k in range(200)]
    # an error of 10^-size, and for every second trial twice that
    population = trials([(-size + (math.log10(2) if k % 2 else 0), size) for k, size in enumerate(sizes)])
    chosen = [choose(population, generator) for _ in range(1_000)]
    on_front = sum(population.index(parent) % 2 == 0 for parent in chosen)
    assert 800 <= on_front < 1_000
    for low in (2.4, 2.8, 3.2, 3.6):
        assert 200 <= sum(low <= parent.values[1] < low + 0.4 for parent in chosen) <= 300


def test_a_single_trial_is_every_childs_parent() -> None:
    (only,) = trials([(0.1, 3.0)])
    assert choose([only], random.Random(0)) is only
