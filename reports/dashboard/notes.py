"""Notes of a study and of its trials in Markdown, for the dashboard."""

from collections.abc import Sequence

from reports.facts.formats import costs, count, counted, dimensions, mean_float, mean_int8, percent
from reports.facts.layers import layers_of
from reports.facts.outcomes import MEANINGS, outcome_name
from reports.facts.report_data import ReportData, headline
from studies.records import TrialRecord


def study_note(report: ReportData) -> str:
    """The headline, students, front, and where there is more."""
    lines = [headline(report), ""]
    if report.students:
        heads = ("student", "family", "parameters", "validation", "test", "int8 test")
        lines += [f"| {' | '.join(heads)} |", "| --- | --- | ---: | ---: | ---: | ---: |"]
        lines += [
            f"| {s.architecture.digest} | {s.architecture.family} | {count(s.cost.parameters)} "
            f"| {percent(s.validation)} | {mean_float(s)} | {mean_int8(s)} |"
            for s in report.students
        ]
        lines.append("")
    if report.front:
        lines += ["| front: trial | family | parameters | validation |", "| ---: | --- | ---: | ---: |"]
        lines += [
            f"| {t.number} | {t.architecture.family} | {count(t.cost.parameters)} | {percent(t.merit)} |"
            for t in report.front
        ]
        lines.append("")
    return "\n".join(
        [
            *lines,
            f"Full report: `{report.path}/report/index.html`, written by `wunderkind report {report.target}`",
            "",
        ]
    )


def trial_note(trial: TrialRecord, rungs: Sequence[float], drawing: str) -> str:
    """How a trial ended, where and why; its drawing (an address, "" without one), its layers."""
    name = outcome_name(trial, rungs)
    why = trial.reason or MEANINGS.get(name, "")
    if trial.outcome == "pruned":
        why = f"weak after {counted(trial.epochs, 'epoch')}: enough others no larger did at least as well"
    parts = [
        f"**{name}**" + (f": {why}" if why else ""),
        f"{trial.architecture.family} `{trial.architecture.digest}`: {costs(trial.cost)}",
    ]
    if trial.trained:
        parts.append(f"{percent(trial.accuracy)} validation after {counted(trial.epochs, 'epoch')}")
    if drawing:
        parts.append(f"![{trial.architecture.family} {trial.architecture.digest}]({drawing})")
    rows = ["| layer | output | parameters | MACs |", "| --- | --- | ---: | ---: |"]
    rows += [
        f"| {layer.name} | {dimensions(layer.shape)} | {count(layer.cost.parameters)} | {count(layer.cost.macs)} |"
        for layer in layers_of(trial.architecture)
    ]
    return "\n\n".join([*parts, "\n".join(rows)]) + "\n"
