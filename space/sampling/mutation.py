"""Mutations: one parameter of a draw changed."""

import random
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from space.architecture import Architecture
from space.errors import InputError
from space.sampling.distributions import Distribution
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import Params, RandomTrial

MAX_ATTEMPTS = 1_000
"""Mutations after which no change of a draw is taken to give another network."""


def mutate(
    params: Mapping[str, Any], domain: Domain, shape: tuple[int, ...], classes: int, generator: random.Random
) -> tuple[Params, Architecture]:
    """Change one parameter of a draw, so that another network results.

    A number moves a little, a categorical takes another choice. All other parameters that still apply keep their
    values; those that the change brings with it are drawn. Repeated until the digest differs.

    Args:
        params: values of a draw from this domain: `params` of a `RandomTrial` or an Optuna trial.
        domain: what may be drawn.
        shape: input of the networks.
        classes: their outputs.
        generator: chooses the change and draws.

    Returns:
        The values of the new draw, of just the parameters that apply to it, and its architecture.

    Raises:
        InputError: when `params` are no draw from this domain, or no change gives another network.

    >>> trial = RandomTrial(random.Random(0), {"family": "cnn"})
    >>> parent = suggest(trial, Domain(), (1, 28, 28), 10)
    >>> params, child = mutate(trial.params, Domain(), (1, 28, 28), 10, random.Random(1))
    >>> [(name, trial.params[name], params[name]) for name in params if params[name] != trial.params[name]]
    [('cnn.stem.halving', 'pool', 'stride')]
    """
    return next(mutations(params, domain, shape, classes, generator))


def mutations(
    params: Mapping[str, Any],
    domain: Domain,
    shape: tuple[int, ...],
    classes: int,
    generator: random.Random,
    kept: Collection[str] = (),
) -> Iterator[tuple[Params, Architecture]]:
    """Mutations of one draw without end, each as from `mutate`; the parameters named in `kept` do not change."""
    replay = _Replay(generator, params)
    parent, distributions = suggest(replay, domain, shape, classes), replay.distributions
    names = [name for name, one in distributions.items() if name not in kept and not one.single()]
    while names:
        for _ in range(MAX_ATTEMPTS):
            name = generator.choice(names)
            trial = RandomTrial(generator, {**params, name: distributions[name].mutate(params[name], generator)})
            child = suggest(trial, domain, shape, classes)
            if child.digest != parent.digest:
                break
        else:
            break
        yield trial.params, child
    raise InputError(f"none of {MAX_ATTEMPTS} mutations of {parent.digest} gives another network: widen the domain")


class _Replay(RandomTrial):
    """Takes every parameter from the fixed ones; raises InputError where one is missing or not possible."""

    def _suggest(self, name: str, distribution: Distribution) -> Any:
        value = self.fixed.get(name)
        if not distribution.contains(value):
            raise InputError(
                f"{name} = {value!r}: must be {distribution}; give the parameters of a draw from this domain"
            )
        return super()._suggest(name, distribution)
