"""The report's files: one page that needs nothing else, its Markdown twin, and the fronts as tables."""

from collections.abc import Mapping
from pathlib import Path

from plotly.io import to_html
from plotly.offline import get_plotlyjs

from kd.files import write_whole
from reports import tables as pareto
from reports.figures.student_svg import student_svg
from reports.figures.study import TITLES, figures
from reports.figures.theme import COLOURS
from reports.layers import layers_of
from reports.outcomes import group_by_outcome
from reports.render import render
from reports.report_data import ReportData, gather, headline
from studies.store import Store

CAPTIONS = {
    "front": "Each circle is a trained trial at its last rung, on the validation split; "
    "the grey line is the search front. Diamonds are retrained students on the test set. "
    "The scale is that of the error: halving it is always the same step.",
    "learning-curves": "Strong lines are on the search front.",
    "retrained-curves": "One line a seed, on the validation split.",
    "outcomes": "Where the trials of each family went.",
}


def write_report(store: Store) -> Path:
    """Write `index.html`, `report.md`, `pareto.csv` and `pareto.json` for a study in any state; returns the page."""
    content = gather(store)
    points = pareto.rows(content)
    folder = store.directory.report
    write_whole(folder / "pareto.csv", pareto.to_csv(points))
    write_whole(folder / "pareto.json", pareto.to_json(points))
    write_whole(folder / "report.md", _rendered("report.md", content, {}))
    page = store.directory.page
    write_whole(page, _rendered("report.html", content, _drawn(content)))
    return page


def _rendered(template: str, content: ReportData, drawn: Mapping[str, str]) -> str:
    return render(
        template,
        content=content,
        headline=headline(content),
        outcomes=group_by_outcome(content),
        figures=drawn,
        anatomies={s.architecture.digest: layers_of(s.architecture) for s in content.students},
        drawings={s.architecture.digest: student_svg(s.architecture, standalone=False) for s in content.students},
        titles=TITLES,
        captions=CAPTIONS,
        colours=COLOURS,
        plotly=get_plotlyjs() if drawn else "",
    )


def _drawn(content: ReportData) -> dict[str, str]:
    return {
        name: to_html(
            drawn,
            include_plotlyjs=False,
            full_html=False,
            div_id=name,
            config={"displaylogo": False, "responsive": True},
        )
        for name, drawn in figures(content).items()
    }
