"""The result: the metric over a cost, for trials, front, retrained students, teacher and public networks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from reports.facts.evidence import StudyEvidence, teacher_level
from reports.facts.formats import percent
from reports.facts.metric import metric_in_words, test_score
from reports.facts.price import PRICES, front_over, price, prices
from reports.facts.reference import reference_points
from reports.facts.report_data import ReportData
from reports.figures.theme import (
    COLOURS,
    MUTED_COLOUR,
    accuracy_axis,
    add_family_legend,
    add_legend_entry,
    by_family,
    empty_figure,
    error_percent,
    hover_text,
    log_axis,
    trial_hover_text,
)
from space.architecture import FAMILIES
from studies.records import StudentRecord, TrialRecord

SYMBOLS = {"complete": "circle", "pruned": "circle-open", "failed": "x-thin-open", "unfinished": "diamond-open"}
BUDGET_COLOUR, LEVEL_COLOUR = "#d64545", "#9c8b00"
LEVELS_APART = 1.6
"""How far outside the points, as a factor of the error, a level may lie and still be drawn."""


def front_figure(report: ReportData, evidence: StudyEvidence | None = None, over: str = "parameters") -> go.Figure:
    """The metric over a cost: every trained trial, the search front, retrained students on the test set."""
    figure = empty_figure(height=600)
    metric = report.config.search.metric
    _add_reference(figure, report, over)
    _add_trials(figure, report.trained, over)
    _add_search_front(figure, front_over(report.trials, over, report.config.search.floor), over)
    for student in report.students:
        _add_student(figure, report, student, over)
    _add_int8(figure, report, over)
    sizes = [size for t in report.trained if (size := price(t, over)) is not None]
    sizes += [size for s in report.students if (size := price(s, over)) is not None]
    limit = getattr(report.config.budget, over, None)
    if limit is not None and sizes and limit < 1.6 * max(sizes):
        sizes.append(limit)
        _add_budget(figure, limit)
    errors = [error_percent(trial.merit or 0) for trial in report.trained]
    errors += [error_percent(test_score(student, metric).mean) for student in report.students]
    axis = log_axis(sizes, PRICES[over], least=1e-3 if over == "latency_ms" else 1.0)
    _add_levels(figure, report, teacher_level(report, evidence).test, errors, axis["range"])
    _add_legend(figure, report)
    figure.update_layout(xaxis=axis, yaxis=accuracy_axis(errors, f"{metric_in_words(metric)} (%)"))
    return figure


def switched(report: ReportData, evidence: StudyEvidence | None = None) -> dict[str, dict[str, Any]]:
    """What of the figure changes with the cost that it is drawn over: positions by trace, axis, lines, notes."""
    found = {}
    for over in prices(report):
        figure = front_figure(report, evidence, over)
        layout = figure.to_plotly_json()["layout"]
        found[over] = {
            "x": [list(trace.x) for trace in figure.data],
            # those of the trials stay where they are: only the front has other members
            "y": {str(i): list(t.y) for i, t in enumerate(figure.data) if (t.name or "").startswith("search front")},
            "layout": {"xaxis": layout["xaxis"], "shapes": layout.get("shapes", [])}
            | {"annotations": layout.get("annotations", [])},
        }
    return found


def _add_trials(figure: go.Figure, trained: Sequence[TrialRecord], over: str) -> None:
    for family, trials in by_family(trained).items():
        for outcome, members in _by_outcome(trials).items():
            figure.add_scatter(
                x=[price(t, over) for t in members],
                y=[error_percent(t.merit or 0) for t in members],
                mode="markers",
                marker={"color": COLOURS[family], "symbol": SYMBOLS[outcome], "size": 8, "line": {"width": 1.5}},
                opacity=0.8 if outcome == "complete" else 0.45,
                text=[trial_hover_text(t) for t in members],
                hovertemplate="%{text}<extra></extra>",
                legendgroup=family,
                showlegend=False,
            )


def _add_search_front(figure: go.Figure, front: Sequence[TrialRecord], over: str) -> None:
    figure.add_scatter(
        x=[price(t, over) for t in front],
        y=[error_percent(t.merit or 0) for t in front],
        mode="lines",
        line={"color": MUTED_COLOUR, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
        name="search front (validation)",
        showlegend=bool(front),
    )


def _add_student(figure: go.Figure, report: ReportData, student: StudentRecord, over: str) -> None:
    architecture, score = student.architecture, test_score(student, report.config.search.metric)
    error, spread = error_percent(score.mean), 0.0 if math.isnan(score.deviation) else 100 * score.deviation
    validation = "trained on validation samples too"
    if student.validation is not None:
        validation = f"{percent(student.validation)} validation accuracy"
    known = "" if math.isnan(score.deviation) else f" ± {100 * score.deviation:.2f}"
    figure.add_scatter(
        x=[price(student, over)],
        y=[error],
        error_y={
            "type": "data",
            "array": [spread],
            "arrayminus": [min(spread, 0.9 * error)],  # has to stay positive on a log axis
            "thickness": 2,
            "width": 6,
            "color": MUTED_COLOUR,
        },
        mode="markers",
        marker={
            "color": COLOURS[architecture.family],
            "symbol": "diamond",
            "size": 14,
            "line": {"color": MUTED_COLOUR, "width": 2},
        },
        text=[hover_text(architecture, f"{100 * score.mean:.2f}{known} % test (n = {score.seeds})", validation)],
        hovertemplate="%{text}<extra></extra>",
        legendgroup=architecture.family,
        showlegend=False,
    )


def _add_int8(figure: go.Figure, report: ReportData, over: str) -> None:
    students = [(student, student.int8) for student in report.students if student.int8 is not None]
    if not students:
        return
    figure.add_scatter(
        x=[price(student, over) for student, _ in students],
        y=[error_percent(mean) for _, mean in students],
        mode="markers",
        marker={"color": MUTED_COLOUR, "symbol": "diamond-open", "size": 11, "line": {"width": 2}},
        text=[f"{student.architecture.digest} in int8: {percent(mean)}" for student, mean in students],
        hovertemplate="%{text}<extra></extra>",
        name="retrained, int8 (test)",
    )


def _add_reference(figure: go.Figure, report: ReportData, over: str) -> None:
    """A quiet layer, over parameters alone: nothing else is known of these networks."""
    points = reference_points(report.data_name) if report.config.search.metric == "accuracy" else []
    if not points:
        return
    figure.add_scatter(
        x=[point.parameters if over == "parameters" else None for point in points],
        y=[error_percent(point.accuracy) for point in points],
        mode="markers",
        marker={"color": MUTED_COLOUR, "symbol": "asterisk-open", "size": 9, "line": {"width": 1.2}},
        text=[
            f"<b>{point.source}</b><br>{point.what}<br>{point.parameters:,} parameters, {percent(point.accuracy)} test"
            f"<br>{point.measured}"
            for point in points
        ],
        hovertemplate="%{text}<extra></extra>",
        name="public networks (test)",
    )


def _add_levels(
    figure: go.Figure, report: ReportData, teacher: float | None, errors: list[float], span: Sequence[float]
) -> None:
    """The teacher's level, and that of a constant answer where it is near; `errors` then hold them too."""
    if not errors or report.config.search.metric != "accuracy":
        return
    levels = [("teacher (test)", teacher)] if teacher is not None else []
    levels.append(("largest class", report.majority.validation))
    for name, accuracy in levels:
        error = error_percent(accuracy)
        if name == "largest class" and error > LEVELS_APART * max(errors):
            continue
        errors.append(error)
        figure.add_scatter(
            x=[10 ** span[0], 10 ** span[1]],
            y=[error, error],
            mode="lines",
            line={"color": LEVEL_COLOUR, "width": 1.5, "dash": "dash" if name.startswith("teacher") else "dot"},
            hovertemplate=f"{name}: {percent(accuracy)}<extra></extra>",
            name=f"{name} {percent(accuracy)}",
        )


def _add_budget(figure: go.Figure, limit: int) -> None:
    figure.add_vline(x=limit, line={"color": BUDGET_COLOUR, "width": 1, "dash": "dash"})
    # on a log axis an annotation is placed by the logarithm, a line is not
    figure.add_annotation(
        x=math.log10(limit),
        y=0,
        yref="paper",
        text="budget",
        textangle=-90,
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        font={"color": BUDGET_COLOUR},
    )


def _add_legend(figure: go.Figure, report: ReportData) -> None:
    """Add entries for colours and for symbols, one apart from the other."""
    present = {*report.families, *(student.architecture.family for student in report.students)}
    add_family_legend(figure, [family for family in FAMILIES if family in present])
    for outcome in _by_outcome(report.trained):
        marker = {"color": MUTED_COLOUR, "symbol": SYMBOLS[outcome], "size": 9}
        add_legend_entry(figure, f"{outcome} (validation)", outcome, marker)
    if report.students:
        marker = {"color": MUTED_COLOUR, "symbol": "diamond", "size": 12}
        add_legend_entry(figure, "retrained (test, mean ± sd)", "retrained", marker)


def _by_outcome(trials: Sequence[TrialRecord]) -> Mapping[str, list[TrialRecord]]:
    return {outcome: members for outcome in SYMBOLS if (members := [t for t in trials if t.outcome == outcome])}
