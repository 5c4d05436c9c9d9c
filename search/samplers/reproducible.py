"""Samplers whose every draw depends on the seed and the history alone: TPE, evolution, random."""

import hashlib
import math
import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from search.samplers.evolution import EvolutionSampler
from space.sampling.domain import Domain
from studies.configuration.config import Search

WASTE = 10
"""Consecutive rejected or duplicate suggestions after which suggestions are random until one is new and feasible."""

SHOWN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
"""States of the trials that a draw depends on."""


class ReproducibleSampler(BaseSampler):
    """A sampler by name, random for the first `startup` trials.

    - "tpe" (Bergstra et al. 2011; multivariate and grouped: Falkner et al. 2018);
    - "evolution": mutations of the front (`search.samplers.evolution`);
    - "random".

    Optuna's samplers keep the state of their random generator in memory, so a resumed study draws other trials than
    an undisturbed one. Here every draw comes from a fresh sampler, seeded by the study's seed, the trial's number and
    the parameter's name: a killed study goes on as if nothing had happened, even in the middle of a suggestion.

    They are shown log₁₀ of the error and of the parameters. TPE splits trials by hypervolume, and on the raw scales
    nearly all of that lies in the parameters: from 95 to 98 % counts as little as 300 of 10,000 parameters. They are
    also shown the trials under way, in training or waiting for their next rung, which TPE's constant liar takes for bad
    ones so that several workers try different things; but no duplicates, which are no worse than what they repeat.
    """

    def __init__(self, settings: Search, domain: Domain, shape: tuple[int, ...], classes: int) -> None:
        """Make the sampler of a study; `settings.startup` counts suggestions, whatever became of them."""
        self._settings, self._space = settings, (domain, shape, classes)
        self._relative: tuple[int, BaseSampler] | None = None
        self._shown: tuple[int, optuna.Study] | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Search space of the joint draw."""
        sampler = self._make(study, trial, "")
        self._relative = trial.number, sampler
        return sampler.infer_relative_search_space(*self._show(study, trial))

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw jointly; called by Optuna right after `infer_relative_search_space`."""
        if self._relative is None or self._relative[0] != trial.number:
            self.infer_relative_search_space(study, trial)
        assert self._relative is not None
        return self._relative[1].sample_relative(*self._show(study, trial), search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter on its own."""
        sampler = self._make(study, trial, param_name)
        return sampler.sample_independent(*self._show(study, trial), param_name, param_distribution)

    def _show(self, study: optuna.Study, trial: FrozenTrial) -> tuple[optuna.Study, FrozenTrial]:
        """A copy in memory of the other trials, with logarithms as values, and of the trial to draw for, the last."""
        if self._shown is None or self._shown[0] != trial.number:
            copy = optuna.create_study(directions=["minimize", "minimize"])
            for other in study.get_trials(deepcopy=True, states=SHOWN):
                if other.number == trial.number or other.user_attrs.get("outcome") == "duplicate":
                    continue
                if other.values is not None:
                    accuracy, parameters = other.values
                    other.values = [math.log10(max(1 - accuracy, 1e-4)), math.log10(parameters)]
                copy.add_trial(other)
            copy.add_trial(trial)
            self._shown = trial.number, copy
        return self._shown[1], self._shown[1].get_trials(deepcopy=False)[-1]

    def _make(self, study: optuna.Study, trial: FrozenTrial, name: str) -> BaseSampler:
        digest = hashlib.sha256(f"{self._settings.seed} {trial.number} {name}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        if trial.number < self._settings.startup or wasted(study, trial.number) >= WASTE:
            return RandomSampler(seed=seed)
        match self._settings.sampler:
            case "tpe":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True, constant_liar=True)
            case "evolution":
                return EvolutionSampler(seed, *self._space)
            case "random":
                return RandomSampler(seed=seed)


def wasted(study: optuna.Study, before: int) -> int:
    """Number of suggestions right before trial `before` that were rejected or duplicates."""
    count = 0
    for trial in reversed(study.get_trials(deepcopy=False)[:before]):
        if trial.state != TrialState.PRUNED or trial.user_attrs.get("outcome") not in ("rejected", "duplicate"):
            break
        count += 1
    return count
