import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space.architecture import FAMILIES, Family
from space.errors import InputError
from space.sampling.distributions import IntDistribution
from space.sampling.domain import Domain, suggest
from space.sampling.mutation import mutate
from space.sampling.random_trial import Params, RandomTrial

SHAPES = ((1, 28, 28), (3, 32, 32), (2, 9, 20), (40, 3))
DOMAIN = Domain()

seeds = st.integers(0, 2**32 - 1)
shapes = st.sampled_from(SHAPES)
families = st.sampled_from(FAMILIES)


def draw(family: Family, seed: int, shape: tuple[int, ...]) -> RandomTrial:
    trial = RandomTrial(random.Random(seed), {"family": family})
    suggest(trial, DOMAIN, shape, 10)
    return trial


def changes(before: Params, after: Params) -> set[str]:
    """Names of parameters that both draws have, with different values."""
    return {name for name in before.keys() & after.keys() if before[name] != after[name]}


def replay(params: Params, shape: tuple[int, ...]) -> str:
    """Digest of a draw with these values alone, once they are known to be of the domain."""
    trial = RandomTrial(random.Random(1), params)
    digest = suggest(trial, DOMAIN, shape, 10).digest
    assert trial.params == params
    assert all(distribution.contains(params[name]) for name, distribution in trial.distributions.items())
    return digest


@settings(max_examples=200)
@given(families, seeds, shapes)
def test_mutate_changes_one_parameter_within_the_domain(family: Family, seed: int, shape: tuple[int, ...]) -> None:
    parent = draw(family, seed, shape)
    params, child = mutate(parent.params, DOMAIN, shape, 10, random.Random(seed))
    assert replay(params, shape) == child.digest != replay(parent.params, shape)
    (name,) = changes(parent.params, params)
    if isinstance(parent.distributions[name], IntDistribution):
        assert abs(params[name] - parent.params[name]) == 1


def test_mutations_reach_every_parameter() -> None:
    parent = RandomTrial(random.Random(3), {"family": "hybrid", "size": 8_000.0})
    suggest(parent, DOMAIN, SHAPES[0], 10)
    reached: set[str] = set()
    for seed in range(400):
        reached |= changes(parent.params, mutate(parent.params, DOMAIN, SHAPES[0], 10, random.Random(seed))[0])
    assert reached == {name for name, distribution in parent.distributions.items() if not distribution.single()}


def test_a_mutation_depends_on_its_generator_alone() -> None:
    params = draw("depthwise", 0, SHAPES[0]).params
    first, again = (mutate(params, DOMAIN, SHAPES[0], 10, random.Random(5)) for _ in range(2))
    assert first == again
    assert first != mutate(params, DOMAIN, SHAPES[0], 10, random.Random(6))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"family": "rnn"}, "family = 'rnn': must be one of cnn"),
        ({"family": "liquid"}, r"liquid\.\w+ = None: must be one of"),
        ({"size": 1.0}, r"size = 1\.0: must be a number in 250\.\."),
        ({"cnn.stages": 9}, r"cnn\.stages = 9: must be a whole number in "),
        ({"cnn.stem.kernel": 9}, r"cnn\.stem\.kernel = 9: must be one of 3, 5, 7"),
    ],
    ids=str,
)
def test_parameters_that_are_not_of_the_domain_are_refused_in_one_line(change: Params, match: str) -> None:
    params = draw("cnn", 0, SHAPES[0]).params | change
    with pytest.raises(InputError, match=match) as caught:
        mutate(params, DOMAIN, SHAPES[0], 10, random.Random(0))
    assert "\n" not in str(caught.value)
