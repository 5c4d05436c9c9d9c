"""How trials ended: by outcome, pruned ones by rung, counted with their reasons."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reports.facts.formats import counted
from reports.facts.report_data import ReportData
from space.budget import Budget
from studies.records import OUTCOMES, TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeGroup:
    """One outcome, with the trials that ended so and their reasons, the most frequent first."""

    name: str
    meaning: str
    trials: tuple[TrialRecord, ...]
    reasons: tuple[tuple[str, int], ...]


MEANINGS = {
    "complete": "trained to the last rung",
    "duplicate": "seen before, not trained again",
    "rejected": "over the budget, never trained",
    "failed": "training failed",
    "unfinished": "waiting, in training, or left when the search stopped",
}


def outcome_name(trial: TrialRecord, rungs: Sequence[float]) -> str:
    """Name how a trial ended: its outcome, and the rung (counted from 1) when it was pruned."""
    if trial.outcome == "pruned" and trial.epochs in rungs:
        return f"pruned at rung {rungs.index(trial.epochs) + 1}"
    return trial.outcome


def outcome_names(rungs: Sequence[float]) -> list[str]:
    """List all outcomes there are, from the best on."""
    pruned = [f"pruned at rung {number}" for number in range(len(rungs), 0, -1)]
    return [name for outcome in OUTCOMES for name in ([*pruned, "pruned"] if outcome == "pruned" else [outcome])]


def group_by_outcome(report: ReportData) -> list[OutcomeGroup]:
    """Sort all trials by how they ended; outcomes of no trial are left out."""
    rungs = report.config.search.rungs
    trials_by_name: dict[str, list[TrialRecord]] = {name: [] for name in outcome_names(rungs)}
    for trial in report.trials:
        trials_by_name[outcome_name(trial, rungs)].append(trial)
    return [
        OutcomeGroup(
            name=name,
            meaning=MEANINGS.get(name) or f"weak after {counted(trials[0].epochs, 'epoch')}",
            trials=tuple(trials),
            reasons=_reasons(trials, report.config.budget),
        )
        for name, trials in trials_by_name.items()
        if trials
    ]


def _reasons(trials: Sequence[TrialRecord], budget: Budget) -> tuple[tuple[str, int], ...]:
    counts = Counter(reason for trial in trials if (reason := _reason(trial, budget)))
    return tuple(counts.most_common())


def _reason(trial: TrialRecord, budget: Budget) -> str:
    # a rejection's own reason states its cost, and a duplicate's the trial it repeats: no two are alike
    if trial.outcome == "rejected":
        over = [name for name, excess in budget.violations(trial.architecture).items() if excess > 0]
        limits = [f"{name.replace('_', ' ')} ≥ {getattr(budget, name):,}" for name in over]
        return " and ".join(limits) or trial.reason
    return trial.reason if trial.outcome == "failed" else ""
