"""Mutations: one parameter of a draw changed."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from space.architecture import Architecture
from space.errors import InputError
from space.sampling.distributions import Distribution
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import Params, RandomTrial

ATTEMPTS = 1_000
"""Mutations after which a draw is taken to have no other network beside it."""


def mutate(
    params: Mapping[str, Any], domain: Domain, shape: tuple[int, ...], classes: int, generator: random.Random
) -> tuple[Params, Architecture]:
    """Change one answer of a draw, so that another network comes out.

    A number takes a step, a categorical another choice. Every other answer that is still asked for is kept, what is
    newly asked for is drawn. Repeated until the digest differs.

    Args:
        params: answers of a draw from this domain: `params` of a `RandomTrial` or an Optuna trial.
        domain: what may be drawn.
        shape: input of the networks.
        classes: their outputs.
        generator: chooses the change and draws.

    Returns:
        The answers of the new draw, just those it was asked for, and its architecture.

    Raises:
        InputError: when `params` are no draw from this domain, or no change gives another network.
    """
    replay = _Replay(generator, params)
    parent, asked = suggest(replay, domain, shape, classes), replay.asked
    names = [name for name, question in asked.items() if question.others(params[name])]
    for _ in range(ATTEMPTS if names else 0):
        name = generator.choice(names)
        trial = RandomTrial(generator, {**params, name: asked[name].step(params[name], generator)})
        child = suggest(trial, domain, shape, classes)
        if child.digest != parent.digest:
            return trial.params, child
    raise InputError(f"none of {ATTEMPTS} mutations of {parent.digest} gives another network: widen the domain")


def neighbours(
    params: Mapping[str, Any], domain: Domain, shape: tuple[int, ...], classes: int, generator: random.Random
) -> Iterator[tuple[Params, Architecture]]:
    """All other networks that are one change of an answer away, each once.

    Changes are every other choice of a categorical, one less and one more of an integer, and a tenth of the range down
    and up for other numbers. Arguments, what is yielded and errors are those of `mutate`.
    """
    replay = _Replay(generator, params)
    seen = {suggest(replay, domain, shape, classes).digest}
    for name, question in replay.asked.items():
        for value in question.others(params[name]):
            trial = RandomTrial(generator, {**params, name: value})
            neighbour = suggest(trial, domain, shape, classes)
            if neighbour.digest not in seen:
                seen.add(neighbour.digest)
                yield trial.params, neighbour


class _Replay(RandomTrial):
    """Takes every answer from those given; raises InputError where there is none or it is not possible."""

    def _answer(self, name: str, question: Distribution) -> Any:
        answer = self.given.get(name)
        if not question.contains(answer):
            raise InputError(f"{name} = {answer!r}: must be {question}; give the parameters of a draw from this domain")
        return super()._answer(name, question)
