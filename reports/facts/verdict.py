"""The report in three sentences: which student to take, how sure that is, what to do next."""

import math
from dataclasses import dataclass

from reports.facts.advice import Advice
from reports.facts.certainty import SIGMAS, standard_error
from reports.facts.formats import count, mean_test, percent, points
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
        f"With other seeds and other test samples, that student would reach {percent(best.test - error)} to "
        f"{percent(min(1.0, best.test + error))}, nineteen times in twenty. The ± is the spread of {seeds} seeds "
        f"alone; there are {count(report.samples.test)} test samples, and each seed was tested once."
    )
    if math.isnan(best.test_deviation):
        sure = (
            f"Hardly: one seed alone. The test samples by themselves leave ± {points(error)}; how far another seed "
            "would lie is not known."
        )
    first = next((one for one in found if one.command and one.pressing), None)
    device = f"wunderkind measure {report.target} --student {best.architecture.digest} --target cortex-m4"
    return Verdict(
        take=take,
        digest=best.architecture.digest,
        sure=sure,
        then=f"{first.title}: {first.finding}" if first else "Nothing stands in the way: measure it on a device.",
        command=first.command if first else device,
    )
