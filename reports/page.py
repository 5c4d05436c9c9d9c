"""The report's files: one page that needs nothing else, the same in Markdown, tables, and every figure as a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from kd.files import write_manifest, write_whole
from reports.charts import Chart, script
from reports.facts.advice import advice
from reports.facts.boards import Judgement, judge
from reports.facts.choices import Importance, importances, shared_choices
from reports.facts.course import draws, timeline
from reports.facts.evidence import StudyEvidence, gather_evidence
from reports.facts.formats import mean_test, percent
from reports.facts.layers import layers_of
from reports.facts.levels import levels
from reports.facts.majority import mean_scores
from reports.facts.metric import metric_in_words
from reports.facts.outcomes import group_by_outcome
from reports.facts.price import SHORT, prices
from reports.facts.ranking import rankings
from reports.facts.reference import reference_points
from reports.facts.report_data import ReportData, gather, headline
from reports.facts.reproduction import FILE, changed_settings, to_toml
from reports.facts.tables import front_rows, to_csv, to_json
from reports.facts.verdict import verdict
from reports.figures.pareto import switched
from reports.figures.static import write_static
from reports.figures.student import features_figure
from reports.figures.student_svg import student_svg
from reports.figures.study_figures import CAPTIONS, STUDENT_TITLES, TITLES, student_figures, study_figures
from reports.figures.theme import COLOURS
from reports.render import render
from studies.storage.directory import PAGE
from studies.store import Store

TEACHER = "teacher-features"
"""Name of the one figure that is no student's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """All figures of a study by name: its own, and each student's, which bear its digest behind a hyphen."""

    study: Mapping[str, go.Figure]
    students: Mapping[str, Mapping[str, go.Figure]]
    teacher: go.Figure | None

    def items(self) -> dict[str, tuple[str, go.Figure]]:
        """Every figure with its title, by the name of its file."""
        found = {name: (TITLES[name], figure) for name, figure in self.study.items()}
        for digest, figures in self.students.items():
            found |= {f"{name}-{digest}": (f"{STUDENT_TITLES[name]}, {digest}", f) for name, f in figures.items()}
        return found | ({TEACHER: (STUDENT_TITLES[TEACHER], self.teacher)} if self.teacher else {})


def write_report(store: Store, out: Path | None = None, *, pictures: bool = False, refresh: int = 0) -> Path:
    """Write the report of a study in any state; returns the page, `index.html`.

    They are written to the folder `out`, else to the study's own; see `write_pages`.
    """
    report = gather(store)
    evidence = gather_evidence(store, report.students)
    return write_pages(report, evidence, out or store.directory.report, pictures=pictures, refresh=refresh)


def write_pages(
    report: ReportData, evidence: StudyEvidence, folder: Path, *, pictures: bool = False, refresh: int = 0
) -> Path:
    """Write a report to a folder; returns the page, `index.html`.

    Beside it: `report.md`, `pareto.csv` and `pareto.json`, `study.toml`, and with `pictures` every figure as SVG and
    PNG. A page with `refresh` loads itself again after so many seconds.
    """
    rows = front_rows(report)
    choices = importances(report)
    drawn = _pictures(report, evidence, choices)
    write_whole(folder / "pareto.csv", to_csv(rows))
    write_whole(folder / "pareto.json", to_json(rows))
    write_whole(folder / FILE, to_toml(report.config))
    files = ["report.md", "pareto.csv", "pareto.json", FILE]
    if pictures:
        for name, (title, figure) in drawn.items().items():
            files += [f"figures/{file}" for file in write_static(figure, folder / "figures" / name, title)]
    content = _content(report, evidence, drawn)
    content |= {"importances": choices, "refresh": refresh, "pictures": pictures}
    write_whole(folder / "report.md", render("report.md", **content))
    page = folder / PAGE
    write_whole(page, render("report.html", **content))
    write_manifest(folder, (page.name, *files))
    return page


def _pictures(report: ReportData, evidence: StudyEvidence, choices: Sequence[Importance]) -> Pictures:
    teacher, names = evidence.teacher_features, report.classes
    return Pictures(
        study=study_figures(report, evidence, choices),
        students={
            student.architecture.digest: student_figures(report, student, evidence, names)
            for student in report.students
        },
        teacher=features_figure(teacher, evidence.labels, names) if teacher is not None else None,
    )


def _content(report: ReportData, evidence: StudyEvidence, drawn: Pictures) -> dict[str, Any]:
    """Everything that the templates show."""
    found = advice(report, evidence)
    students = {student.architecture.digest: student.architecture for student in report.students}
    charts = {name: Chart(name=name, title=title, figure=figure) for name, (title, figure) in drawn.items().items()}
    return {
        "report": report,
        "evidence": evidence,
        "headline": headline(report),
        "verdict": verdict(report, found),
        "advice": found,
        "levels": levels(report),
        "public": reference_points(report.data_name),
        "metric": metric_in_words(report.config.search.metric),
        "outcomes": group_by_outcome(report),
        "draws": draws(report),
        "timeline": timeline(report),
        "shared": shared_choices(report),
        "rankings": rankings(report),
        "settings": changed_settings(report.config),
        "scores": {digest: mean_scores(s) for digest, s in zip(students, report.students, strict=True)},
        "layers": {digest: layers_of(architecture) for digest, architecture in students.items()},
        "judgements": _judgements(report, evidence),
        "diagrams": {digest: student_svg(architecture, standalone=False) for digest, architecture in students.items()},
        "charts": charts,
        "captions": CAPTIONS,
        "costs_by_name": {name: SHORT[name] for name in prices(report)},
        "switch": json.dumps(switched(report, evidence)).replace("<", "\\u003c") if "front" in charts else "",
        "colours": COLOURS,
        "script": script() if charts else "",
        "front_alt": _front_in_words(report),
    }


def _judgements(report: ReportData, evidence: StudyEvidence) -> dict[str, Judgement]:
    """Whether each student fits the study's board, if it has one."""
    if report.board is None:
        return {}
    students = {student.architecture.digest: student.architecture for student in report.students}
    return {digest: judge(one, report.board, evidence.students[digest].measured) for digest, one in students.items()}


def _front_in_words(report: ReportData) -> str:
    """What the first figure shows, for those who do not see it."""
    points = [f"{percent(t.merit)} with {t.cost.parameters:,} parameters" for t in report.front]
    students = [f"{mean_test(s)} on the test set with {s.cost.parameters:,}" for s in report.students]
    parts = [f"{len(report.trained)} trained trials."]
    parts += [f"Search front: {'; '.join(points)}."] if points else []
    parts += [f"Retrained: {'; '.join(students)}."] if students else []
    return " ".join(parts)
