"""Accuracy over parameters: trials, front, retrained students."""

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from reports.facts.formats import mean_test, percent
from reports.facts.report_data import ReportData
from reports.figures.theme import (
    COLOURS,
    MUTED_COLOUR,
    TEXT_COLOUR,
    accuracy_axis,
    add_family_legend,
    add_legend_entry,
    by_family,
    empty_figure,
    error_percent,
    hover_text,
    parameter_axis,
    trial_hover_text,
)
from space.architecture import FAMILIES
from studies.records import StudentRecord, TrialRecord

SYMBOLS = {"complete": "circle", "pruned": "circle-open", "failed": "x-thin-open", "unfinished": "diamond-open"}
BUDGET_COLOUR = "#d64545"


def front_figure(report: ReportData) -> go.Figure:
    """Accuracy over parameters: every trained trial, the search front, retrained students on the test set."""
    figure = empty_figure(height=560)
    _add_trials(figure, report.trained)
    _add_search_front(figure, report.front)
    for student in report.students:
        _add_student(figure, student)
    _add_legend(figure, report)
    sizes = [trial.cost.parameters for trial in report.trained]
    sizes += [student.cost.parameters for student in report.students]
    limit = report.config.budget.parameters
    if limit is not None and sizes and limit < 1.6 * max(sizes):
        sizes.append(limit)
        _add_budget(figure, limit)
    errors = [error_percent(trial.accuracy or 0) for trial in report.trained]
    errors += [error_percent(seed.test) for student in report.students for seed in student.seeds]
    figure.update_layout(xaxis=parameter_axis(sizes), yaxis=accuracy_axis(errors, "accuracy (%)"))
    return figure


def _add_trials(figure: go.Figure, trained: Sequence[TrialRecord]) -> None:
    for family, trials in by_family(trained).items():
        for outcome, members in _by_outcome(trials).items():
            figure.add_scatter(
                x=[t.cost.parameters for t in members],
                y=[error_percent(t.accuracy or 0) for t in members],
                mode="markers",
                marker={"color": COLOURS[family], "symbol": SYMBOLS[outcome], "size": 9, "line": {"width": 1.5}},
                opacity=0.85 if outcome == "complete" else 0.5,
                text=[trial_hover_text(t) for t in members],
                hovertemplate="%{text}<extra></extra>",
                legendgroup=family,
                showlegend=False,
            )


def _add_search_front(figure: go.Figure, front: Sequence[TrialRecord]) -> None:
    figure.add_scatter(
        x=[t.cost.parameters for t in front],
        y=[error_percent(t.accuracy or 0) for t in front],
        mode="lines",
        line={"color": MUTED_COLOUR, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
        name="search front (validation)",
        showlegend=bool(front),
    )


def _add_student(figure: go.Figure, student: StudentRecord) -> None:
    architecture, error = student.architecture, error_percent(student.test)
    spread = 0.0 if math.isnan(student.test_deviation) else 100 * student.test_deviation
    validation = "trained on validation samples too"
    if student.validation is not None:
        validation = f"{percent(student.validation)} validation"
    figure.add_scatter(
        x=[student.cost.parameters],
        y=[error],
        error_y={
            "type": "data",
            "array": [spread],
            "arrayminus": [min(spread, 0.9 * error)],  # has to stay positive on a log axis
            "thickness": 1.5,
            "color": TEXT_COLOUR,
        },
        mode="markers",
        marker={
            "color": COLOURS[architecture.family],
            "symbol": "diamond",
            "size": 13,
            "line": {"color": TEXT_COLOUR, "width": 1.5},
        },
        text=[hover_text(architecture, f"{mean_test(student)} on the test set", validation)],
        hovertemplate="%{text}<extra></extra>",
        legendgroup=architecture.family,
        showlegend=False,
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
