"""Samplers by name: what a study tries next. Every draw depends on the seed and the history alone."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from search.samplers.evolution import Evolution
from search.samplers.optuna_samplers import NSGA2, TreeParzenEstimator
from space.sampling.domain import suggest
from space.sampling.random_trial import RandomTrial
from studies.configuration.config import Config
from studies.history import Draw, History
from studies.store import Store
from studies.tables import table_names
from studies.warm_start import warm_start

WASTE = 10
"""Consecutive rejected or duplicate suggestions after which suggestions are random until one is new and feasible."""


class Sampler(Protocol):
    """Chooses parameters of the next student; an informed one has reasons before the first result too."""

    informed: bool

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """Parameters of the next student by name; those that it needs besides are drawn at random."""


class RandomSampler:
    """Chooses nothing: all is drawn at random."""

    informed = False

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """No parameters."""
        return {}


def make_sampler(store: Store) -> Sampler:
    """The sampler of a study.

    - "predictor", the most promising of many students: `search.samplers.guided`;
    - "evolution", mutations of the front: `search.samplers.evolution`;
    - "tpe" and "nsga2", as Optuna gives them: `search.samplers.optuna_samplers`;
    - "random".
    """
    match store.config.search.sampler:
        case "predictor":
            from search.samplers.guided import PredictorGuided  # scikit-learn takes a second to import
            from search.samplers.predictor import learn_prior

            tables, studies = prior_tables(store.config), warm_start(store.directory)
            return PredictorGuided(learn_prior(store.data.shape, tables, studies, store.config.search.seed))
        case "evolution":
            return Evolution()
        case "tpe":
            return TreeParzenEstimator()
        case "nsga2":
            return NSGA2()
        case "random":
            return RandomSampler()


def prior_tables(config: Config) -> Sequence[str]:
    """The tables that a study's prior learns from: what it was asked, else all but that of its own data."""
    if config.search.prior is not None:
        return config.search.prior
    return [name for name in table_names() if name != config.data.name]


def draw(sampler: Sampler, history: History) -> Draw:
    """The next suggestion of a study.

    In the start of a study the families take turns, and all else is random unless the sampler is informed. After
    `WASTE` useless suggestions one is random. The random numbers of a draw come from the study's seed and the trial's
    number, so that a killed study goes on as if nothing had happened.
    """
    store, number = history.store, len(history.trials)
    settings = store.config.search
    digest = hashlib.sha256(f"{settings.seed} {number}".encode()).digest()
    generator = random.Random(int.from_bytes(digest[:8], "big"))
    chosen: Mapping[str, Any] = history.start
    if (sampler.informed or not chosen) and history.useless_in_a_row < WASTE:
        chosen = sampler.propose(history, generator)
    trial = RandomTrial(generator, chosen)
    architecture = suggest(trial, store.config.domain, store.data.shape, store.data.classes)
    settings.recipe.draw(trial)
    return Draw(architecture=architecture, params=trial.params, distributions=trial.distributions)
