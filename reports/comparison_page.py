"""Studies side by side: a page that needs nothing else, and a table for the terminal."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kd.files import write_whole
from reports.charts import Chart, script
from reports.facts.comparison import Comparison, duel_in_words
from reports.facts.formats import count, mean_test, percent
from reports.figures.comparison import comparison_figure
from reports.figures.theme import COLOURS
from reports.render import render

CHART = "comparison"
"""Name of the one figure."""


def write_comparison(comparison: Comparison, page: Path) -> Path:
    """Write the page; returns its path."""
    chart = Chart(name=CHART, title="Front against front", figure=comparison_figure(comparison))
    links = {c.name: _link(Path(c.report.path) / "report" / "index.html", page) for c in comparison.contenders}
    content = render(
        "compare.html",
        comparison=comparison,
        charts={CHART: chart},
        links=links,
        colours=COLOURS,
        script=script(),
        alt=_in_words(comparison),
    )
    write_whole(page, content)
    return page


def comparison_table(comparison: Comparison) -> RenderableType:
    """What the page says, for the terminal."""
    names = [contender.name for contender in comparison.contenders]
    head = Table("study", box=None, pad_edge=False)
    for title in ("trained", "front", "retrained", "hypervolume", "best student"):
        head.add_column(title, justify="right", overflow="fold")
    for contender in comparison.contenders:
        report = contender.report
        best = f"{count(report.best.cost.parameters)} at {mean_test(report.best)}" if report.best else "–"
        figures = (len(report.trained), len(report.front), len(report.students))
        head.add_row(contender.name, *map(count, figures), f"{contender.retrained:.3f}", best)
    duels = Table("parameters", *names, *(f"{name} – {names[0]}" for name in names[1:]), box=None, pad_edge=False)
    for row in comparison.rows:
        tests = [mean_test(student) if student else "–" for student in row.students]
        duels.add_row(f"≤ {count(row.parameters)}", *tests, *(duel_in_words(duel) for duel in row.duels))
    settings = Table("setting", *names, box=None, pad_edge=False)
    for key, values in comparison.settings.items():
        settings.add_row(Text(key), *(Text(value, overflow="fold") for value in values))
    parts: list[RenderableType] = [head, Text(), duels, Text(), settings]
    if not comparison.same_data:
        parts.insert(0, Text("They were tested on different samples: accuracies are no comparison.", style="bold"))
    return Group(*parts)


def _link(target: Path, page: Path) -> str:
    """Address of a file as seen from a page, "" where it is not there."""
    if not target.is_file():
        return ""
    try:
        return target.resolve().relative_to(page.parent.resolve()).as_posix()
    except ValueError:
        return target.resolve().as_uri()


def _in_words(comparison: Comparison) -> str:
    found = []
    for contender in comparison.contenders:
        students = "; ".join(f"{percent(s.test)} with {count(s.cost.parameters)}" for s in contender.report.students)
        found.append(f"{contender.name}: {students or 'nothing retrained'}.")
    return " ".join(found)
