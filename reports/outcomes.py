"""Where trials went: outcomes with pruning told apart by rung, counted with their reasons."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reports.formats import counted
from reports.report_data import ReportData
from space.budget import Budget
from studies.records import OUTCOMES, TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeGroup:
    """One way for a trial to go, with the trials that went it and their reasons, most frequent first."""

    name: str
    meaning: str
    trials: tuple[TrialRecord, ...]
    reasons: tuple[tuple[str, int], ...]


MEANINGS = {
    "complete": "trained to the last rung",
    "duplicate": "seen before, not trained again",
    "rejected": "over the budget, never trained",
    "failed": "training broke off",
    "unfinished": "waiting, in training, or left when the search stopped",
}


def outcome_name(trial: TrialRecord, rungs: Sequence[float]) -> str:
    """Name where a trial went: its outcome, and the rung (counted from 1) when it was pruned."""
    if trial.outcome == "pruned" and trial.epochs in rungs:
        return f"pruned at rung {rungs.index(trial.epochs) + 1}"
    return trial.outcome


def outcome_names(rungs: Sequence[float]) -> list[str]:
    """List all outcomes there are, from the best on."""
    pruned = [f"pruned at rung {number}" for number in range(len(rungs), 0, -1)]
    return [name for outcome in OUTCOMES for name in ([*pruned, "pruned"] if outcome == "pruned" else [outcome])]


def group_by_outcome(content: ReportData) -> list[OutcomeGroup]:
    """Sort all trials by how they ended; outcomes of no trial are left out."""
    rungs = content.config.search.rungs
    sorted_trials: dict[str, list[TrialRecord]] = {name: [] for name in outcome_names(rungs)}
    for trial in content.trials:
        sorted_trials[outcome_name(trial, rungs)].append(trial)
    return [
        OutcomeGroup(
            name=name,
            meaning=MEANINGS.get(name) or f"weak after {counted(trials[0].epochs, 'epoch')}",
            trials=tuple(trials),
            reasons=_reasons(trials, content.config.budget),
        )
        for name, trials in sorted_trials.items()
        if trials
    ]


def _reasons(trials: Sequence[TrialRecord], budget: Budget) -> tuple[tuple[str, int], ...]:
    told = Counter(reason for trial in trials if (reason := _reason(trial, budget)))
    return tuple(told.most_common())


def _reason(trial: TrialRecord, budget: Budget) -> str:
    # a rejection's own reason states its cost, and a duplicate's its twin: too many to count
    if trial.outcome == "rejected":
        over = [name for name, excess in budget.violations(trial.architecture).items() if excess > 0]
        limits = [f"{name.replace('_', ' ')} ≥ {getattr(budget, name):,}" for name in over]
        return " and ".join(limits) or trial.reason
    return trial.reason if trial.outcome == "failed" else ""
