import math
import random
import statistics

import optuna.distributions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.sampling.distributions import (
    MUTATION_STD,
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
)

seeds = st.integers(0, 2**32 - 1)
distributions = st.one_of(
    st.builds(CategoricalDistribution, st.sampled_from([("a",), ("a", "b"), (1, 3, 5), (False, True)])),
    st.builds(IntDistribution, st.integers(0, 2), st.integers(2, 6)),
    st.builds(FloatDistribution, st.floats(1, 10), st.floats(10, 12_000), st.booleans()),
)


def optunas(distribution: Distribution) -> optuna.distributions.BaseDistribution:
    match distribution:
        case CategoricalDistribution(choices):
            return optuna.distributions.CategoricalDistribution(choices)
        case IntDistribution(low, high):
            return optuna.distributions.IntDistribution(low, high)
        case FloatDistribution(low, high, log):
            return optuna.distributions.FloatDistribution(low, high, log=log)


@given(distributions)
def test_a_distribution_of_one_value_is_one_for_optuna_too(distribution: Distribution) -> None:
    assert distribution.single() == optunas(distribution).single()


@given(distributions, seeds)
def test_samples_and_mutations_of_them_are_contained(distribution: Distribution, seed: int) -> None:
    generator = random.Random(seed)
    value = distribution.sample(generator)
    assert distribution.contains(value)
    if not distribution.single():
        mutant: object = distribution.mutate(value, generator)  # type: ignore[arg-type]
        assert distribution.contains(mutant)
        assert mutant != value or isinstance(distribution, FloatDistribution)  # which may be clipped at an end


@pytest.mark.parametrize(
    ("distribution", "value", "mutants"),
    [
        (CategoricalDistribution(("a", "b", "c")), "b", {"a", "c"}),
        (IntDistribution(1, 3), 2, {1, 3}),
        (IntDistribution(1, 3), 3, {2}),
    ],
    ids=("categorical", "integer", "last integer"),
)
def test_mutants_are_the_other_choices_and_the_next_integers(
    distribution: CategoricalDistribution | IntDistribution, value: object, mutants: set[object]
) -> None:
    generator = random.Random(0)
    assert {distribution.mutate(value, generator) for _ in range(50)} == mutants  # type: ignore[arg-type]


@pytest.mark.parametrize("log", [False, True])
def test_a_float_mutates_by_a_tenth_of_its_range_on_its_own_scale(log: bool) -> None:
    distribution, generator = FloatDistribution(1.0, 10_000.0, log), random.Random(0)
    middle = 100.0 if log else 5_000.5
    mutants = [distribution.mutate(middle, generator) for _ in range(2_000)]
    moves = [math.log(mutant / middle, 10_000) if log else (mutant - middle) / 9_999 for mutant in mutants]
    assert statistics.stdev(moves) == pytest.approx(MUTATION_STD, rel=0.05)
    assert statistics.mean(moves) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("end", [1.0, 9.0])
def test_a_mutation_beyond_an_end_is_clipped_to_it(end: float) -> None:
    generator = random.Random(0)
    mutants = [FloatDistribution(1.0, 9.0).mutate(end, generator) for _ in range(200)]
    assert 50 < mutants.count(end) < 150


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (CategoricalDistribution(("a", "b")), "c"),
        (CategoricalDistribution(("a", "b")), None),
        (IntDistribution(1, 3), 4),
        (IntDistribution(1, 3), 2.0),
        (FloatDistribution(1.0, 3.0), 0.9),
        (FloatDistribution(1.0, 3.0), "2"),
        (FloatDistribution(1.0, 3.0), float("nan")),
    ],
    ids=str,
)
def test_other_values_are_not_contained(distribution: Distribution, value: object) -> None:
    assert not distribution.contains(value)
