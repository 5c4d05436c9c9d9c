import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space.architecture import FAMILIES, Architecture, Family
from space.blocks.mlp import Dense
from space.budget import Budget
from space.errors import InputError
from space.sampling.domain import (
    MAX_SCALE,
    SCALE_TOLERANCE,
    Domain,
    check_feasible,
    parameter_range,
    suggest,
    widest,
)
from space.sampling.families import suggest_blocks
from space.sampling.random_trial import RandomTrial


def within(budget: Budget, *families: Family) -> Domain:
    smallest, largest = parameter_range(budget)
    return Domain(families=families, smallest=smallest, largest=largest, budget=budget)


def test_an_impossible_budget_is_refused_with_the_nearest_miss() -> None:
    with pytest.raises(InputError, match=r"no architecture of cnn, mlp meets .* parameters .* ≥ 20") as caught:
        check_feasible(within(Budget(parameters=20), "cnn", "mlp"), (1, 28, 28), 10, draws=200)
    assert "\n" not in str(caught.value)


TIGHT = [Budget(parameters=400), Budget(macs=50_000), Budget(memory_bytes=1_500), Budget(int8_bytes=2_000)]


@pytest.mark.parametrize("budget", TIGHT, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_tight_budget_wastes_few_draws_of_any_family(family: Family, budget: Budget) -> None:
    domain, generator = within(budget, family), random.Random(0)
    assert check_feasible(domain, (1, 28, 28), 10) == []
    draws = [suggest(RandomTrial(generator), domain, (1, 28, 28), 10) for _ in range(400)]
    assert sum(budget.rejection_reason(architecture) is None for architecture in draws) >= 0.1 * len(draws)


def test_a_family_that_cannot_meet_the_budget_is_named_in_one_line() -> None:
    # 3·3 weights at each of 28·28 pixels, halved before the stem: 1,764, and no convolution behind it is for nothing
    budget = Budget(macs=5_000)
    (line,) = check_feasible(within(budget, "cnn", "mlp"), (1, 28, 28), 10)
    assert line.startswith("no cnn meets the budget, the nearest has macs 7,076 ≥ 5,000: leave it out of")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("budget", "smallest", "largest"),
    [
        (Budget(), Domain().smallest, Domain().largest),
        (Budget(parameters=5_000), 250, 4_999),
        (Budget(parameters=300), 149, 299),
        (Budget(parameters=1), 1, 2),
        (Budget(parameters=20_000), 250, 19_999),
        (Budget(parameters=20_000, int8_bytes=2_000), 250, 1_999),
        (Budget(parameters=None), Domain().smallest, Domain().largest),
        (Budget(macs=50_000, memory_bytes=1_500), Domain().smallest, Domain().largest),
    ],
    ids=str,
)
def test_sizes_follow_from_the_budget(budget: Budget, smallest: int, largest: int) -> None:
    assert parameter_range(budget) == (smallest, largest)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_draw_is_wasted_on_too_many_parameters(family: Family) -> None:
    for budget in (Budget(), Budget(parameters=2_000)):
        domain, generator = within(budget, family), random.Random(0)
        draws = [suggest(RandomTrial(generator), domain, (1, 28, 28), 10) for _ in range(400)]
        assert sum(budget.rejection_reason(architecture) is None for architecture in draws) >= 0.98 * len(draws)


@given(st.integers(0, 2**32 - 1), st.sampled_from(FAMILIES), st.floats(800, 12_000))
def test_a_draw_is_as_wide_as_its_size_allows(seed: int, family: Family, size: float) -> None:
    architecture = suggest(
        RandomTrial(random.Random(seed), {"family": family, "size": size}), Domain(), (1, 28, 28), 10
    )
    narrowest = suggest(RandomTrial(random.Random(seed), {"family": family, "size": 1.0}), Domain(), (1, 28, 28), 10)
    assert architecture.cost().parameters <= max(size, narrowest.cost().parameters)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FAMILIES), st.floats(100, 12_000))
def test_the_widest_student_is_found_to_the_tolerance(seed: int, family: Family, size: float) -> None:
    blocks = suggest_blocks(RandomTrial(random.Random(seed)), family, (1, 28, 28))

    def make(scale: float) -> Architecture:
        return Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=blocks(scale))

    def fits(scale: float) -> bool:
        return make(scale).cost().parameters <= size

    found = widest(make, {"parameters": size})
    if not fits(1.0):
        assert found == make(1.0)
        return
    low, high = 1.0, MAX_SCALE
    while high / low > 1 + 1e-9:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    least = make(max(1.0, low / math.exp(SCALE_TOLERANCE))).cost().parameters
    assert least <= found.cost().parameters <= make(low).cost().parameters <= size


def test_the_widest_student_by_hand() -> None:
    def dense(scale: float) -> Architecture:
        return Architecture(family="mlp", shape=(1, 10, 10), classes=10, blocks=(Dense(width=round(scale)),))

    # 100 w + 2 w + 10 w + 10 parameters
    assert widest(dense, {"parameters": 1_130}).blocks == (Dense(width=10),)
    assert widest(dense, {"parameters": 1_129}).blocks == (Dense(width=9),)
    assert widest(dense, {"parameters": 5}).blocks == (Dense(width=1),)
