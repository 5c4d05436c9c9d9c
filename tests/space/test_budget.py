import random
from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

from space.architecture import FAMILIES, Architecture, Family
from space.budget import Budget, limited_parameters
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial


def draw(family: Family, seed: int) -> Architecture:
    return suggest(RandomTrial(random.Random(seed), {"family": family}), Domain(), (1, 28, 28), 10)


architectures = st.builds(draw, st.sampled_from(FAMILIES), st.integers(0, 2**32 - 1))
LIMITS = [field.name for field in fields(Budget)]


@given(architectures, st.sampled_from(LIMITS))
def test_a_limit_itself_is_too_much_and_one_less_is_not(architecture: Architecture, name: str) -> None:
    costs = architecture.cost()
    cost: int = limited_parameters(costs) if name == "parameters" else getattr(costs, name)
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
    assert (Budget().rejection_reason(architecture) is None) == (limited_parameters(architecture.cost()) < 10_000)


def test_every_broken_limit_is_named() -> None:
    reason = Budget(parameters=1, macs=1, memory_bytes=1, int8_bytes=1).rejection_reason(draw("cnn", 0))
    assert reason is not None
    assert all(name in reason for name in LIMITS)


@settings(max_examples=300)
@given(architectures)
def test_a_parameter_takes_a_byte_or_more(architecture: Architecture) -> None:
    # so that a limit on bytes is one on parameters
    assert architecture.cost().parameters <= architecture.cost().int8_bytes
