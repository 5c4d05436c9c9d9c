"""The report's files: one page that needs nothing else, the same in Markdown, and the fronts as tables."""

from collections.abc import Mapping
from pathlib import Path

from plotly.io import to_html
from plotly.offline import get_plotlyjs

from kd.files import write_manifest, write_whole
from reports.facts.layers import layers_of
from reports.facts.majority import mean_scores
from reports.facts.outcomes import group_by_outcome
from reports.facts.report_data import ReportData, gather, headline
from reports.facts.tables import front_rows, to_csv, to_json
from reports.figures.student_svg import student_svg
from reports.figures.study_figures import CAPTIONS, TITLES, study_figures
from reports.figures.theme import COLOURS
from reports.render import render
from studies.store import Store


def write_report(store: Store, out: Path | None = None) -> Path:
    """Write `index.html`, `report.md`, `pareto.csv` and `pareto.json` for a study in any state; returns the page.

    They are written to the folder `out`, else to the study's own.
    """
    report = gather(store)
    rows = front_rows(report)
    folder = out or store.directory.report
    write_whole(folder / "pareto.csv", to_csv(rows))
    write_whole(folder / "pareto.json", to_json(rows))
    write_whole(folder / "report.md", _rendered("report.md", report, {}))
    page = folder / store.directory.page.name
    write_whole(page, _rendered("report.html", report, _figures_html(report)))
    write_manifest(folder, (page.name, "report.md", "pareto.csv", "pareto.json"))
    return page


def _rendered(template: str, report: ReportData, figures: Mapping[str, str]) -> str:
    students = {student.architecture.digest: student.architecture for student in report.students}
    return render(
        template,
        report=report,
        headline=headline(report),
        outcomes=group_by_outcome(report),
        figures=figures,
        scores=report.best and mean_scores(report.best),
        layers={digest: layers_of(architecture) for digest, architecture in students.items()},
        diagrams={digest: student_svg(architecture, standalone=False) for digest, architecture in students.items()},
        titles=TITLES,
        captions=CAPTIONS,
        colours=COLOURS,
        plotly=get_plotlyjs() if figures else "",
    )


def _figures_html(report: ReportData) -> dict[str, str]:
    return {
        name: to_html(
            figure,
            include_plotlyjs=False,
            full_html=False,
            div_id=name,
            config={"displaylogo": False, "responsive": True},
        )
        for name, figure in study_figures(report).items()
    }
