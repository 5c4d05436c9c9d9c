"""Optuna's own samplers, TPE and NSGA-II, each shown a bounded choice of the trials."""

import math
import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.pareto.nondominated import fronts
from search.pareto.pruner import log_error
from space.sampling.domain import suggest
from space.sampling.random_trial import RandomTrial
from studies.history import STATES, History
from studies.records import TrialRecord
from studies.storage.trial_table import optuna_distribution

BEST, LATEST = 60, 60
"""How many trials TPE is shown: the complete ones on the best fronts, and the latest of the others.

TPE calls the best tenth of what it is shown good, at most 25 trials, so that the others only say what was tried.
"""

GENERATION = "NSGAIISampler:generation"
"""Where NSGA-II looks for the generation of a trial."""

POPULATION = 20
"""Trials of a generation of NSGA-II."""

GENERATIONS = 6
"""Generations that NSGA-II is shown, the latest ones; it selects parents from all of them."""


class OptunaTrials:
    """A study's trials as Optuna's samplers are shown them; a concluded one is made once.

    Values are log₁₀ of the error and of the costs. Optuna compares by hypervolume and by distances, and on the
    raw scales nearly all of those lie in the parameters: from 95 to 98 % counts as little as 300 of 10,000 parameters.
    """

    def __init__(self) -> None:
        """Begin without a trial."""
        self._concluded: dict[int, FrozenTrial] = {}

    def of(self, record: TrialRecord, history: History) -> FrozenTrial:
        """A trial as Optuna has it."""
        known = self._concluded.get(record.number)
        if known is not None:
            return known
        store, values = history.store, None
        replay = RandomTrial(random.Random(), record.params)
        suggest(replay, store.config.domain, store.data.shape, store.data.classes)
        store.config.search.recipe.draw(replay)
        constraints = store.config.budget.violations(record.architecture)
        if record.outcome == "complete":
            values = [log_error(record.merit or 0), *map(math.log10, record.sizes)]
            constraints["floor"] = store.config.search.floor - (record.merit or 0)
        trial = optuna.trial.create_trial(
            state=TrialState[STATES[record.outcome]],
            values=values,
            params=replay.params,
            distributions={name: optuna_distribution(replay.distributions[name]) for name in replay.params},
            constraints=constraints,
        )
        if record.outcome != "unfinished":
            self._concluded[record.number] = trial
        return trial


def ask(sampler: BaseSampler, trials: Sequence[FrozenTrial], history: History) -> Mapping[str, Any]:
    """All parameters of the student that a sampler suggests after some trials."""
    optuna.logging.disable_default_handler()
    store = history.store
    count = 1 + len(store.config.search.objectives)
    study = optuna.create_study(directions=[StudyDirection.MINIMIZE] * count, sampler=sampler)
    for shown in trials:
        study.add_trial(shown)
    trial = study.ask()
    suggest(trial, store.config.domain, store.data.shape, store.data.classes)
    store.config.search.recipe.draw(trial)
    return trial.params


class TreeParzenEstimator:
    """TPE (Bergstra et al. 2011), multivariate and grouped (Falkner et al. 2018).

    It is also shown the trials under way, in training or waiting for their next rung, which its constant liar takes for
    bad ones so that several workers try different things; but no duplicates, which are no worse than what they repeat.

    Its time grows with the trials it is shown, so it is shown at most `BEST` + `LATEST`.
    """

    informed = False

    def __init__(self) -> None:
        """Make a sampler that has shown nothing yet."""
        self._trials = OptunaTrials()

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """All parameters of a student."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            seed = generator.randrange(2**32)
            sampler = TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True, constant_liar=True)
            return ask(sampler, [self._trials.of(record, history) for record in shown(history)], history)


class NSGA2:
    """NSGA-II (Deb et al. 2002); generations are of `POPULATION` complete trials, in the order of their numbers."""

    informed = False

    def __init__(self) -> None:
        """Make a sampler that has shown nothing yet."""
        self._trials = OptunaTrials()

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """All parameters of a student."""
        complete = [record for record in history.trials if record.outcome == "complete"]
        first = max(0, len(complete) // POPULATION - GENERATIONS)
        trials = []
        for place, record in enumerate(complete[first * POPULATION :]):
            trial = self._trials.of(record, history)
            trial.system_attrs = {GENERATION: place // POPULATION}
            trials.append(trial)
        return ask(NSGAIISampler(population_size=POPULATION, seed=generator.randrange(2**32)), trials, history)


def shown(history: History) -> list[TrialRecord]:
    """The trials that TPE is shown, by number."""
    rank = fronts([(-(trial.merit or 0), *trial.sizes) for trial in history.eligible])
    order = sorted(range(len(rank)), key=lambda index: (rank[index], -history.eligible[index].number))
    best = {history.eligible[index].number: history.eligible[index] for index in order[:BEST]}
    latest: list[TrialRecord] = []
    for record in reversed(history.trials):
        if len(latest) == LATEST:
            break
        if record.outcome not in ("duplicate", "failed") and record.number not in best:
            latest.append(record)
    return sorted([*best.values(), *latest], key=lambda record: record.number)
