"""The report in three sentences: which student to take, how sure that is, what to do next."""

import math
from dataclasses import dataclass

from reports.facts.advice import Advice
from reports.facts.certainty import SIGMAS, standard_error
from reports.facts.formats import count, counted, mean_test, percent, points
from reports.facts.report_data import ReportData


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to take, with its folder ("" where there is none), how sure that is, and what comes next, as a command."""

    take: str
    digest: str
    sure: str
    then: str
    command: str


def verdict(report: ReportData, found: list[Advice]) -> Verdict | None:
    """None before a student is retrained that may be chosen."""
    best, smallest = report.best, report.smallest
    if best is None or smallest is None:
        return None
    limit = report.config.budget.parameters
    within = f", under the limit of {count(limit)}" if limit else ""
    take = (
        f"Student {best.architecture.digest} ({best.architecture.family}, {count(best.cost.parameters)} parameters"
        f"{within}): {mean_test(best)} on the test set."
    )
    if smallest is not best:
        take += (
            f" If size matters more: {smallest.architecture.digest} with {count(smallest.cost.parameters)} parameters, "
            f"{mean_test(smallest)}."
        )
    error = SIGMAS * standard_error(best, report.samples.test)
    seeds = len(best.seeds)
    sure = (
        f"{percent(best.test - error)} to {percent(min(1.0, best.test + error))} is what other seeds and test samples "
        f"would give, nineteen times in twenty ({counted(seeds, 'seed')}, {count(report.samples.test)} test samples, "
        "each seed's test read once)."
    )
    if math.isnan(best.test_deviation):
        sure = (
            f"Hardly: one seed alone. The test samples by themselves leave ± {points(error)}; how far another seed "
            "would lie is not known."
        )
    first = next((one for one in found if one.command), None)
    return Verdict(
        take=take,
        digest=best.architecture.digest,
        sure=sure,
        then=f"{first.title}: {first.finding}" if first else "Nothing stands in the way: use it.",
        command=first.command if first else f"wunderkind verify {report.target}",
    )
