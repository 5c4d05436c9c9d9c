"""Which choices matter: fANOVA importance of what was drawn, and what the students of the front share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from reports.facts.report_data import ReportData
from studies.records import TrialRecord
from studies.storage.quiet import without_optuna_logs

FEWEST = 12
"""Trained trials below which importance is a guess, and left out."""

MOST = 300
"""Trials, the last ones, that importance is taken over: more take long and change little."""

TREES, DEPTH = 32, 12
"""Of the forest that fANOVA takes apart."""

SHARED = 6
"""Choices shared by the front that are listed at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Which share of the differences after the first rung a choice explains, among `trials` of a `scope`."""

    scope: str
    name: str
    share: float
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A choice that most of the front made alike: how many of those that had it, and how common it is otherwise."""

    name: str
    value: str
    front: int
    of_front: int
    others: float


def importances(report: ReportData) -> list[Importance]:
    """Of what all trials drew, then of what the largest families drew; the most important first.

    Hutter, Hoos and Leyton-Brown 2014. Trials are compared by the metric after the first rung, which all have.
    """
    first = report.config.search.rungs[0]
    scored = [(trial, merit) for trial in report.trained if (merit := trial.at(first)) is not None][-MOST:]
    found = _importances("all families", scored)
    for family in report.families:
        found += _importances(family, [pair for pair in scored if pair[0].architecture.family == family])
    return found


def shared_choices(report: ReportData) -> list[Shared]:
    """What at least two of three students of the front chose alike, and others chose less often."""
    front = report.front
    others = [trial for trial in report.trained if trial not in front]
    found = []
    for name in dict.fromkeys(name for trial in front for name in trial.params):
        mine = [trial.params[name] for trial in front if name in trial.params]
        theirs = [trial.params[name] for trial in others if name in trial.params]
        value, times = Counter(mine).most_common(1)[0]
        if isinstance(value, float) or len(mine) < 3 or 3 * times < 2 * len(mine) or len(set([*mine, *theirs])) < 2:
            continue
        share = theirs.count(value) / len(theirs) if theirs else 0.0
        if times / len(mine) > share:
            found.append(Shared(name=name, value=str(value), front=times, of_front=len(mine), others=share))
    return sorted(found, key=lambda one: one.others - one.front / one.of_front)[:SHARED]


def _importances(scope: str, scored: Sequence[tuple[TrialRecord, float]]) -> list[Importance]:
    names = [name for name in scored[0][0].params if all(name in t.params for t, _ in scored)] if scored else []
    spaces = {name: space for name in names if (space := _space([trial.params[name] for trial, _ in scored]))}
    if len(scored) < FEWEST or len(spaces) < 2 or len({merit for _, merit in scored}) < 2:
        return []
    with without_optuna_logs(Warning):
        study = optuna.create_study(direction="maximize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: _value(trial.params[name]) for name in spaces},
                    distributions=dict(spaces),
                    value=merit,
                )
                for trial, merit in scored
            ]
        )
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0)
        shares: Mapping[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return [Importance(scope=scope, name=name, share=share, trials=len(scored)) for name, share in shares.items()]


def _space(values: Sequence[Any]) -> BaseDistribution | None:
    """What a parameter was seen to range over; None where it never differed."""
    if len(set(values)) < 2:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return FloatDistribution(float(min(values)), float(max(values)))
    return CategoricalDistribution(sorted({str(value) for value in values}))


def _value(value: Any) -> float | str:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
