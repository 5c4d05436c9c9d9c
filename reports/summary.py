"""A study in the terminal: `wunderkind status`."""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.facts.formats import count, mean_float, mean_int8, percent
from reports.facts.outcomes import group_by_outcome
from reports.facts.report_data import ReportData, gather, headline
from reports.front_chart import front_chart
from space.describe import describe
from studies.front import is_done
from studies.store import Store


def status(store: Store, watched: bool = False) -> RenderableType:
    """Render how far a study is: trials by outcome, the front, retrained students, and the next command.

    One that is `watched` has the front as a chart too, and when it last changed.
    """
    report = gather(store)
    parts: list[RenderableType] = [
        Text(headline(report), style="bold"),
        Text(report.majority.summary),
        Text(),
        _trials(report),
    ]
    if report.front and watched:
        parts += [Text(), front_chart(report.trained, report.front)]
    if report.front:
        parts += [Text(), _front(report)]
    if report.students:
        parts += [Text(), _students(report)]
    if watched:
        parts += [Text(), Text(_pace(report))]
    return Group(*parts, Text(), *(Text(f"Next: {step}") for step in next_steps(report)))


def next_steps(report: ReportData) -> list[str]:
    """Commands that make sense now, with what they do."""
    study = report.target
    verify = f"wunderkind verify {study}   counts and evaluates the saved students again"
    if report.students and not report.trials:
        return [verify, f"wunderkind run --name {study}   searches for others"]
    if not is_done(report.trials, report.students, report.config):
        return [f"wunderkind run --name {study}   goes on where the study stopped"]
    return [f"wunderkind dashboard {study}   serves all trials on loopback", verify]


def _pace(report: ReportData) -> str:
    """When the last rung ended, and how many trials a minute have been concluded since the first."""
    ended = [rung.ended for trial in report.trials for rung in trial.rungs if rung.ended is not None]
    if not ended:
        return "Nothing is trained yet."
    minutes = max(1e-9, (max(ended) - min(ended)) / 60)
    concluded = sum(trial.outcome != "unfinished" for trial in report.trained)
    return (
        f"Last rung ended at {datetime.fromtimestamp(max(ended)):%H:%M:%S}; {concluded / minutes:.1f} trials a minute."
    )


def _trials(report: ReportData) -> RenderableType:
    outcomes = ", ".join(f"{count(len(group.trials))} {group.name}" for group in group_by_outcome(report))
    trained = f"{len(report.trained)} of {report.config.search.trials} students trained"
    families = ", ".join(report.families) or "none"
    return Text(f"Trials: {outcomes or 'none'}\nSearch: {trained}; families: {families}")


def _front(report: ReportData) -> Table:
    table = _table("Search front", "trial", "parameters", "validation")
    for trial in report.front:
        table.add_row(
            str(trial.number),
            count(trial.cost.parameters),
            percent(trial.merit),
            trial.architecture.family,
            describe(trial.architecture),
        )
    return table


def _students(report: ReportData) -> Table:
    table = _table("Retrained students", "student", "parameters", "validation", "test", "int8 test")
    for student in report.students:
        table.add_row(
            student.architecture.digest,
            count(student.cost.parameters),
            percent(student.validation),
            mean_float(student),
            mean_int8(student),
            student.architecture.family,
            describe(student.architecture),
        )
    return table


def _table(title: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, expand=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("family", no_wrap=True)
    table.add_column("layers", ratio=1, overflow="ellipsis", no_wrap=True)
    return table
