import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from space.architecture import FAMILIES, Family
from space.errors import InputError
from space.sampling.distributions import STEP, Categorical, Distribution, Integer, Real
from space.sampling.domain import Domain, suggest
from space.sampling.mutation import mutate, neighbours
from space.sampling.random_trial import Params, RandomTrial

SHAPES = ((1, 28, 28), (3, 32, 32), (2, 9, 20), (40, 3))
DOMAIN = Domain()

seeds = st.integers(0, 2**32 - 1)
shapes = st.sampled_from(SHAPES)
families = st.sampled_from(FAMILIES)
reals = st.builds(Real, st.floats(1, 10), st.floats(10, 12_000), st.booleans())
questions = st.one_of(
    st.builds(Categorical, st.sampled_from([("a",), ("a", "b"), (1, 3, 5), (False, True)])),
    st.builds(Integer, st.integers(0, 2), st.integers(2, 6)),
    reals,
)


def draw(family: Family, seed: int, shape: tuple[int, ...]) -> RandomTrial:
    trial = RandomTrial(random.Random(seed), {"family": family})
    suggest(trial, DOMAIN, shape, 10)
    return trial


def changes(before: Params, after: Params) -> set[str]:
    """Names that both were asked and answered differently."""
    return {name for name in before.keys() & after.keys() if before[name] != after[name]}


def replay(params: Params, shape: tuple[int, ...]) -> str:
    """Digest of a draw with these answers alone, after a look at whether the domain allows them."""
    trial = RandomTrial(random.Random(1), params)
    digest = suggest(trial, DOMAIN, shape, 10).digest
    assert trial.params == params
    assert all(question.contains(params[name]) for name, question in trial.asked.items())
    return digest


@given(questions, seeds)
def test_a_question_allows_what_it_draws_and_every_change_of_it(question: Distribution, seed: int) -> None:
    generator = random.Random(seed)
    answer = question.draw(generator)
    others = question.others(answer)
    assert question.contains(answer)
    assert all(question.contains(other) and other != answer for other in others)
    if others:
        assert question.contains(question.step(answer, generator))


@given(reals, seeds)
def test_a_real_takes_equal_steps_on_its_own_scale(question: Real, seed: int) -> None:
    answer = question.draw(random.Random(seed))
    for other in question.others(answer):
        if question.low < other < question.high:
            share = (other - answer) / (question.high - question.low)
            if question.log:
                assert other / answer == pytest.approx((question.high / question.low) ** (STEP if share > 0 else -STEP))
            else:
                assert abs(share) == pytest.approx(STEP)


@pytest.mark.parametrize(
    ("question", "answer", "others"),
    [
        (Categorical(("a", "b", "c")), "b", ["a", "c"]),
        (Integer(1, 3), 2, [1, 3]),
        (Integer(1, 3), 3, [2]),
        (Integer(1, 1), 1, []),
        (Real(0.0, 2.0), 1.0, [0.8, 1.2]),
        (Real(0.0, 2.0), 0.1, [0.0, 0.3]),
        (Real(2.0, 2.0), 2.0, []),
    ],
    ids=str,
)
def test_the_changes_of_an_answer(question: Distribution, answer: object, others: list[object]) -> None:
    assert question.others(answer) == pytest.approx(others)


@settings(max_examples=200)
@given(families, seeds, shapes)
def test_mutate_changes_one_answer_and_stays_in_the_domain(family: Family, seed: int, shape: tuple[int, ...]) -> None:
    parent = draw(family, seed, shape)
    params, child = mutate(parent.params, DOMAIN, shape, 10, random.Random(seed))
    assert replay(params, shape) == child.digest != replay(parent.params, shape)
    (name,) = changes(parent.params, params)
    if not isinstance(parent.asked[name], Real):
        assert params[name] in parent.asked[name].others(parent.params[name])
    assert changes(params, parent.params) == {name}


@settings(max_examples=25)
@given(families, seeds, shapes)
def test_neighbours_are_all_networks_one_change_away(family: Family, seed: int, shape: tuple[int, ...]) -> None:
    parent = draw(family, seed, shape)
    found = list(neighbours(parent.params, DOMAIN, shape, 10, random.Random(seed)))
    digests = [architecture.digest for _, architecture in found]
    assert len({*digests, replay(parent.params, shape)}) == len(found) + 1
    for params, architecture in found:
        assert replay(params, shape) == architecture.digest
        assert len(changes(parent.params, params)) == 1
    for name, question in parent.asked.items():
        for other in question.others(parent.params[name]):
            trial = RandomTrial(random.Random(0), {**parent.params, name: other})
            digest = suggest(trial, DOMAIN, shape, 10).digest
            if trial.params.keys() <= parent.params.keys():  # nothing newly asked, so nothing drawn
                assert digest in {*digests, replay(parent.params, shape)}


def test_mutations_reach_every_answer() -> None:
    parent = RandomTrial(random.Random(3), {"family": "hybrid", "size": 8_000.0})
    suggest(parent, DOMAIN, SHAPES[0], 10)
    reached: set[str] = set()
    for seed in range(400):
        reached |= changes(parent.params, mutate(parent.params, DOMAIN, SHAPES[0], 10, random.Random(seed))[0])
    assert reached == {name for name, question in parent.asked.items() if question.others(parent.params[name])}


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
def test_answers_that_are_not_of_the_domain_are_refused_in_one_line(change: Params, match: str) -> None:
    params = draw("cnn", 0, SHAPES[0]).params | change
    with pytest.raises(InputError, match=match) as caught:
        mutate(params, DOMAIN, SHAPES[0], 10, random.Random(0))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=match):
        next(neighbours(params, DOMAIN, SHAPES[0], 10, random.Random(0)))
