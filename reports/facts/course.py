"""How a search went: the funnel through the rungs, when workers were busy, what each sampler's draws came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from reports.facts.formats import counted
from reports.facts.hypervolume import corner_of, hypervolume
from reports.facts.report_data import ReportData
from studies.records import TrialRecord
from studies.storage.ledger import Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of the funnel, and how many students came so far."""

    name: str
    students: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of training: from and to when (seconds since the first began), by which worker, of what.

    Workers are told apart by what overlaps; which process it was is not on record. `group` is the family, or
    "retraining".
    """

    start: float
    end: float
    worker: int
    group: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All stretches, the workers that they need, and the share of these workers' time that they fill."""

    spans: tuple[Span, ...]
    workers: int
    seconds: float
    busy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What came of the suggestions of one source; `hypervolume` is that of its complete trials alone."""

    name: str
    suggested: int
    rejected: int
    duplicates: int
    trained: int
    complete: int
    on_front: int
    hypervolume: float


def funnel(report: ReportData) -> list[Stage]:
    """From the suggestions to the retrained students."""
    if not report.trials:
        return []
    tried = [trial for trial in report.trials if trial.outcome not in ("rejected", "duplicate")]
    stages = [
        Stage(name="suggested", students=len(report.trials)),
        Stage(name="within the budget and new", students=len(tried)),
    ]
    for rung in report.config.search.rungs:
        reached = sum(trial.epochs >= rung for trial in tried)
        stages.append(Stage(name=f"trained for {counted(rung, 'epoch')}", students=reached))
    found = {trial.architecture.digest for trial in report.trials}
    retrained = sum(student.architecture.digest in found for student in report.students)
    return [
        *stages,
        Stage(name="on the front", students=len(report.front)),
        Stage(name="retrained", students=retrained),
    ]


def timeline(report: ReportData) -> Timeline | None:
    """When training went on; None where nobody looked at the clock."""
    stretches = sorted([*_searched(report), *_retrained(report)])
    if not stretches:
        return None
    origin = stretches[0][0]
    free: list[tuple[float, int]] = []
    spans, workers = [], 0
    for start, end, group, name in stretches:
        if free and free[0][0] <= start + 0.5 * (end - start):  # what a worker hands in is on record a little later
            worker = heappop(free)[1]
        else:
            worker, workers = workers, workers + 1
        heappush(free, (end, worker))
        spans.append(Span(start=start - origin, end=end - origin, worker=worker, group=group, name=name))
    seconds = max(span.end for span in spans)
    busy = sum(span.end - span.start for span in spans) / (workers * seconds) if seconds else 1.0
    return Timeline(spans=tuple(spans), workers=workers, seconds=seconds, busy=min(1.0, busy))


def draws(report: ReportData) -> list[Draws]:
    """The start, then the sampler; the sources that suggested something."""
    startup, sampler = report.config.search.startup, report.config.search.sampler
    sources = (
        ("start", [trial for trial in report.trials if trial.number < startup]),
        (sampler, [trial for trial in report.trials if trial.number >= startup]),
    )
    return [_draws(report, name, trials) for name, trials in sources if trials]


def _draws(report: ReportData, name: str, trials: Sequence[TrialRecord]) -> Draws:
    complete = [trial for trial in trials if trial.outcome == "complete"]
    points = [(trial.cost.parameters, trial.merit or 0.0) for trial in complete]
    front = {trial.number for trial in report.front}
    return Draws(
        name=name,
        suggested=len(trials),
        rejected=sum(trial.outcome == "rejected" for trial in trials),
        duplicates=sum(trial.outcome == "duplicate" for trial in trials),
        trained=sum(trial.trained for trial in trials),
        complete=len(complete),
        on_front=sum(trial.number in front for trial in trials),
        hypervolume=hypervolume(points, corner_of(report)),
    )


def _searched(report: ReportData) -> list[tuple[float, float, str, str]]:
    return [
        (*_when(rung), trial.architecture.family, f"trial {trial.number}, to {counted(rung.epochs, 'epoch')}")
        for trial in report.trials
        for rung in trial.rungs
        if rung.ended is not None
    ]


def _retrained(report: ReportData) -> list[tuple[float, float, str, str]]:
    return [
        (*_when(rung), "retraining", f"student {student.architecture.digest}, seed {seed.seed}{what}")
        for student in report.students
        for seeds, what in ((student.seeds, ""), (student.twin, ", labels alone"))
        for seed in seeds
        for rung in seed.rungs
        if rung.ended is not None
    ]


def _when(rung: Rung) -> tuple[float, float]:
    assert rung.ended is not None
    return rung.ended - rung.seconds, rung.ended
