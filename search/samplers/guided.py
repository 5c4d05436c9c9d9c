"""Predictor-guided search: of many draws and children, the one that promises most for its size is trained."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, repeat
from typing import Any

import numpy as np

from search.samplers.evolution import children, choose_near
from search.samplers.latency import estimated_latencies
from search.samplers.predictor import Array, Observation, Predictor, Prior, matrix
from space.architecture import Architecture
from space.cost import Cost
from space.sampling.domain import suggest
from space.sampling.random_trial import Params, RandomTrial
from studies.history import History
from studies.records import sizes

FREE = 0.25
"""Share of the suggestions that no predictor chooses, so that a wrong one is recovered from (PriorBand: 2023)."""

CANDIDATES = 256
"""Students that the predictor first compares; every second one is a child, the others are random draws."""

GENERATIONS = 6
"""Times that the most promising of them have children."""

PARENTS = 16
"""The most promising, of which each has `CHILDREN` in a generation."""

CHILDREN = 4
"""Mutations of each parent in a generation."""

GOLDEN = (5**0.5 - 1) / 2
"""How far one size is from the next, as a share of the range of their logarithms."""

CURIOSITY = 0.5
"""Deviations of its prediction by which a student counts as better than predicted."""

FITS = tuple(accumulate(repeat(4, 250), lambda last, _: max(last + 2, int(last * 1.05))))
"""Numbers of rungs after which the predictor is fitted anew: ever rarer, so that a suggestion costs the same."""

MOST = 2_000
"""Rungs that the predictor learns from at most, evenly spaced over a study: a fit takes 0.8 s then, and no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A student that might be trained: its parameters by name, and the network."""

    params: Params
    architecture: Architecture


class PredictorGuided:
    """Takes sizes in turn, then trains the most promising student of that size that it finds by evolution.

    Logarithms of sizes follow the golden ratio, so that however few there are lie evenly between the domain's ends.

    Evolution begins with random draws, and with mutations of the best trials near that size made wider or narrower to
    meet it; then the most promising have children, generation after generation, none of which is trained (Wei et al.
    2020, NPENAS). What promises most is what the predictor says, a little lower where it is unsure. A quarter of
    the suggestions is one of the first students at random. All follows from the history and the random numbers given.

    With a prior it chooses in the start of a study too, among students of the family whose turn it is.
    """

    def __init__(self, prior: Prior | None) -> None:
        """Begin with what a prior knows, if there is one."""
        self.informed = prior is not None
        self._prior = prior
        self._fitted: tuple[int, Predictor] | None = None
        self._features: dict[int, Array] = {}

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """All parameters of a student."""
        size = _size(history)
        start = history.start
        if generator.random() < FREE:
            return _proposal(history, size, not start and generator.random() < 0.5, generator).params
        drawn = [_proposal(history, size, not start and index % 2 == 1, generator) for index in range(CANDIDATES)]
        weights = [generator.expovariate(1.0) for _ in range(1 + len(history.store.config.search.objectives))]
        best = self._ranked(history, drawn, size, weights)
        for _ in range(GENERATIONS):
            parents = best[:PARENTS]
            families = (_children(history, size, parent.params, generator) for parent in parents)
            bred = [child for family in families for child in islice(family, CHILDREN)]
            best = self._ranked(history, [*parents, *bred], size, weights)
        return (best or drawn)[0].params

    def _ranked(
        self, history: History, proposals: Sequence[Proposal], size: float, weights: Sequence[float]
    ) -> list[Proposal]:
        """Those of some students that are new, each once, and within the budget, the most promising first.

        A structure whose narrowest network is larger than the size counts where none is of that size.
        """
        budget = history.store.config.budget
        by_digest = {proposal.architecture.digest: proposal for proposal in proposals}
        fresh = [
            proposal
            for digest, proposal in by_digest.items()
            if history.twin(digest) is None and budget.rejection_reason(proposal.architecture) is None
        ]
        fresh = [proposal for proposal in fresh if proposal.architecture.cost().parameters <= size] or fresh
        if not fresh:
            return []
        x = matrix([proposal.architecture for proposal in fresh])
        mean, deviation = self._predictor(history).predict(x)
        promise = mean - CURIOSITY * deviation
        if history.store.config.search.objectives != ("parameters",):
            costs = self._costs(history, [proposal.architecture.cost() for proposal in fresh], x)
            promise = _scalarised(np.column_stack([promise, np.log10(costs)]), weights)
        return [fresh[index] for index in promise.argsort(kind="stable")]

    def _costs(self, history: History, costs: Sequence[Cost], x: Array) -> list[tuple[float, ...]]:
        """Those costs of students with features `x` that the study minimises, a latency as it is estimated."""
        objectives = history.store.config.search.objectives
        if "latency_ms" not in objectives:
            return [sizes(cost, objectives) for cost in costs]
        measured = {trial.number: trial.latency_ms for trial in history.trials if trial.latency_ms is not None}
        known = np.array([self._features_of(history, number) for number in measured])
        slow = estimated_latencies(known, list(measured.values()), x, [cost.macs for cost in costs])
        return [sizes(cost, objectives, float(ms)) for cost, ms in zip(costs, slow, strict=True)]

    def _predictor(self, history: History) -> Predictor:
        """The predictor, fitted to the results there were at the last of `FITS`; to none of them in the start."""
        count = 0 if history.start else max((fit for fit in FITS if fit <= len(history.results)), default=0)
        if self._fitted is None or count != self._fitted[0]:
            settings = history.store.config.search
            observations = [self._observation(history, index) for index in spaced(count, MOST)]
            self._fitted = count, Predictor(self._prior, settings.epochs, observations, settings.seed)
        return self._fitted[1]

    def _observation(self, history: History, index: int) -> Observation:
        number, rung = history.results[index]
        merit = rung.curve[-1].score(history.store.config.search.metric)
        return Observation(features=self._features_of(history, number), epochs=rung.epochs, merit=merit)

    def _features_of(self, history: History, number: int) -> Array:
        """Features of a trial's student, computed once."""
        if number not in self._features:
            self._features[number] = matrix([history.trials[number].architecture])[0]
        return self._features[number]


def spaced(count: int, most: int) -> list[int]:
    """The indices 0 to `count` - 1, or so many of them, evenly spaced from the first to the last.

    >>> spaced(3, 4), spaced(9, 3)
    ([0, 1, 2], [0, 4, 8])
    """
    if count <= most:
        return list(range(count))
    return [index * (count - 1) // (most - 1) for index in range(most)]


def _size(history: History) -> float:
    """The size of the next student."""
    domain, number = history.store.config.domain, len(history.trials)
    first = random.Random(history.store.config.search.seed).random()
    return domain.size_at((first + number * GOLDEN) % 1)


def _scalarised(values: Array, weights: Sequence[float]) -> Array:
    """One value a row of several, all minimised: a weighted sum in deviations, other weights for each suggestion.

    All students are of one number of parameters, and other costs vary between them (Knowles 2006, ParEGO).
    """
    standard: Array = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    total: Array = standard @ np.array(weights)
    return total


def _proposal(history: History, size: float, child: bool, generator: random.Random) -> Proposal:
    """A child of one of the best trials near a size, where there are any, or a random draw; of that size."""
    if child and history.eligible:
        parent = choose_near(history.eligible, math.log(size), generator)
        return next(_children(history, size, parent.params, generator))
    trial = RandomTrial(generator, {**history.start, "size": size})
    data = history.store.data
    architecture = suggest(trial, history.store.config.domain, data.shape, data.classes)
    return Proposal(params=trial.params, architecture=architecture)


def _children(history: History, size: float, parent: Mapping[str, Any], generator: random.Random) -> Iterator[Proposal]:
    """Children of given size of a student with such parameters, of the family whose turn it is in a study's start."""
    fixed = {"size": size, **history.start}
    for params, architecture in children({**parent, **fixed}, history.store, generator, fixed):
        yield Proposal(params=params, architecture=architecture)
