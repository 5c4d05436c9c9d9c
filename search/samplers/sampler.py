"""Samplers by name: what a study tries next. Every draw depends on the seed and the history alone."""

import hashlib
import random
from collections.abc import Mapping
from typing import Any, Protocol

from search.samplers.evolution import Evolution
from search.samplers.tpe import TreeParzenEstimator
from space.sampling.domain import suggest, supported_families
from space.sampling.random_trial import RandomTrial
from studies.history import Draw, History
from studies.store import Store

WASTE = 10
"""Consecutive rejected or duplicate suggestions after which suggestions are random until one is new and feasible."""


class Sampler(Protocol):
    """Chooses parameters of the next student."""

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """Parameters of the next student by name; those that it needs besides are drawn at random."""


class RandomSampler:
    """Chooses nothing: all is drawn at random."""

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """No parameters."""
        return {}


def make_sampler(store: Store) -> Sampler:
    """The sampler of a study.

    - "tpe" (Bergstra et al. 2011; multivariate and grouped: Falkner et al. 2018): `search.samplers.tpe`;
    - "evolution", mutations of the front: `search.samplers.evolution`;
    - "random".
    """
    match store.config.search.sampler:
        case "tpe":
            return TreeParzenEstimator()
        case "evolution":
            return Evolution()
        case "random":
            return RandomSampler()


def draw(sampler: Sampler, history: History) -> Draw:
    """The next suggestion of a study.

    The first `startup` ones are random, the families taking turns, and so is one after `WASTE` useless ones. The random
    numbers of a draw come from the study's seed and the trial's number, so that a killed study goes on as if nothing
    had happened.
    """
    store, number = history.store, len(history.trials)
    settings, domain, shape = store.config.search, store.config.domain, store.data.shape
    digest = hashlib.sha256(f"{settings.seed} {number}".encode()).digest()
    generator = random.Random(int.from_bytes(digest[:8], "big"))
    chosen: Mapping[str, Any] = {}
    if number < settings.startup:
        families = supported_families(domain, shape)
        chosen = {"family": families[number % len(families)]}
    elif history.useless_in_a_row < WASTE:
        chosen = sampler.propose(history, generator)
    trial = RandomTrial(generator, chosen)
    architecture = suggest(trial, domain, shape, store.data.classes)
    settings.recipe.draw(trial)
    return Draw(architecture=architecture, params=trial.params, distributions=trial.distributions)
