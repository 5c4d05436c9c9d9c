import math
import random
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space.architecture import FAMILIES, Architecture, Family
from space.blocks.mlp import Dense
from space.budget import Budget, most_parameters
from space.errors import InputError
from space.sampling.domain import RESOLUTION, WIDEST, Domain, check_feasible, fit, size_range, suggest
from space.sampling.families import draw as draw_plan
from space.sampling.random_trial import RandomTrial


def draw(family: Family, seed: int) -> Architecture:
    return suggest(RandomTrial(random.Random(seed), {"family": family}), Domain(), (1, 28, 28), 10)


architectures = st.builds(draw, st.sampled_from(FAMILIES), st.integers(0, 2**32 - 1))
LIMITS = [field.name for field in fields(Budget)]


@given(architectures, st.sampled_from(LIMITS))
def test_a_limit_itself_is_too_much_and_one_less_is_not(architecture: Architecture, name: str) -> None:
    costs = architecture.cost()
    cost: int = most_parameters(costs) if name == "parameters" else getattr(costs, name)
    free = dict.fromkeys(LIMITS)
    at, above, below = (Budget(**(free | {name: limit})) for limit in (cost, cost + 1, cost - 1))
    assert at.rejection_reason(architecture) == f"{name} {cost:,} ≥ {cost:,}"
    assert at.violations(architecture)[name] > 0
    assert above.rejection_reason(architecture) is None
    assert above.violations(architecture)[name] <= 0
    assert below.violations(architecture)[name] > at.violations(architecture)[name]


@given(architectures)
def test_without_limits_nothing_is_rejected(architecture: Architecture) -> None:
    budget = Budget(parameters=None)
    assert budget.violations(architecture) == {}
    assert budget.rejection_reason(architecture) is None


@given(architectures)
def test_the_default_is_strictly_under_10_000_parameters(architecture: Architecture) -> None:
    assert (Budget().rejection_reason(architecture) is None) == (most_parameters(architecture.cost()) < 10_000)


def test_every_broken_limit_is_named() -> None:
    objection = Budget(parameters=1, macs=1, memory_bytes=1, int8_bytes=1).rejection_reason(draw("cnn", 0))
    assert objection is not None
    assert all(name in objection for name in LIMITS)


def within(budget: Budget, *families: Family) -> Domain:
    smallest, largest = size_range(budget)
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
    # 28 · 28 pixels and the same halved before the stem are 980 bytes
    budget = Budget(memory_bytes=900)
    (line,) = check_feasible(within(budget, "cnn", "mlp"), (1, 28, 28), 10)
    assert line.startswith("no cnn meets the budget, the nearest has memory_bytes 980 ≥ 900: leave it out of")
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
    assert size_range(budget) == (smallest, largest)


@settings(max_examples=300)
@given(architectures)
def test_a_parameter_takes_a_byte_or_more(architecture: Architecture) -> None:
    # so that a limit on bytes is one on parameters
    assert architecture.cost().parameters <= architecture.cost().int8_bytes


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
def test_fit_finds_the_largest_scale_to_its_resolution(seed: int, family: Family, size: float) -> None:
    plan = draw_plan(RandomTrial(random.Random(seed)), family, (1, 28, 28))

    def make(scale: float) -> Architecture:
        return Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=plan(scale))

    def fits(scale: float) -> bool:
        return make(scale).cost().parameters <= size

    found = fit(make, {"parameters": size})
    if not fits(1.0):
        assert found == make(1.0)
        return
    low, high = 1.0, WIDEST
    while high / low > 1 + 1e-9:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    least = make(max(1.0, low / math.exp(RESOLUTION))).cost().parameters
    assert least <= found.cost().parameters <= make(low).cost().parameters <= size


def test_fit_finds_the_widest() -> None:
    def dense(scale: float) -> Architecture:
        return Architecture(family="mlp", shape=(1, 10, 10), classes=10, blocks=(Dense(width=round(scale)),))

    # 100 w + 2 w + 10 w + 10 parameters
    assert fit(dense, {"parameters": 1_130}).blocks == (Dense(width=10),)
    assert fit(dense, {"parameters": 1_129}).blocks == (Dense(width=9),)
    assert fit(dense, {"parameters": 5}).blocks == (Dense(width=1),)


def test_a_random_trial_repeats_its_answers() -> None:
    trial = RandomTrial(random.Random(0), {"a": 3})
    assert trial.suggest_int("a", 0, 9) == 3
    assert [trial.suggest_float("b", 0, 1)] * 3 == [trial.suggest_float("b", 0, 1) for _ in range(3)]
    assert trial.suggest_categorical("c", "xyz") == trial.params["c"]
    assert all(1 <= RandomTrial(random.Random(seed)).suggest_float("d", 1, 100, log=True) <= 100 for seed in range(50))
