"""Accuracy over parameters: trials, front, retrained students."""

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from reports.figures.theme import (
    COLOURS,
    INK,
    QUIET,
    accuracy_axis,
    add_family_legend,
    add_legend,
    by_family,
    error,
    figure,
    label,
    parameter_axis,
    trial_label,
)
from reports.formats import mean_test, percent
from reports.report_data import ReportData
from space.architecture import FAMILIES
from studies.records import StudentRecord, TrialRecord

SYMBOLS = {"complete": "circle", "pruned": "circle-open", "failed": "x-thin-open", "unfinished": "diamond-open"}


def front_figure(content: ReportData) -> go.Figure:
    """Accuracy over parameters: every trained trial, the search front, retrained students on the test set."""
    drawn = figure(height=560)
    for family, trials in by_family(content.trained).items():
        for outcome, members in _by_outcome(trials).items():
            drawn.add_scatter(
                x=[t.cost.parameters for t in members],
                y=[error(t.accuracy or 0) for t in members],
                mode="markers",
                marker={"color": COLOURS[family], "symbol": SYMBOLS[outcome], "size": 9, "line": {"width": 1.5}},
                opacity=0.85 if outcome == "complete" else 0.5,
                text=[trial_label(t) for t in members],
                hovertemplate="%{text}<extra></extra>",
                legendgroup=family,
                showlegend=False,
            )
    drawn.add_scatter(
        x=[t.cost.parameters for t in content.front],
        y=[error(t.accuracy or 0) for t in content.front],
        mode="lines",
        line={"color": QUIET, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
        name="search front (validation)",
        showlegend=bool(content.front),
    )
    for student in content.students:
        _draw_student(drawn, student)
    _draw_legend(drawn, content)
    errors = [error(t.accuracy or 0) for t in content.trained]
    for student in content.students:
        errors += [error(seed.test) for seed in student.seeds]
    sizes = [trial.cost.parameters for trial in content.trained]
    sizes += [student.cost.parameters for student in content.students]
    limit = content.config.budget.parameters
    if limit is not None and sizes and limit < 1.6 * max(sizes):
        sizes.append(limit)
        drawn.add_vline(x=limit, line={"color": "#d64545", "width": 1, "dash": "dash"})
        # an annotation is placed by the logarithm on a log axis, a line is not
        drawn.add_annotation(
            x=math.log10(limit),
            y=0,
            yref="paper",
            text="budget",
            textangle=-90,
            xanchor="right",
            yanchor="bottom",
            showarrow=False,
            font={"color": "#d64545"},
        )
    drawn.update_layout(xaxis=parameter_axis(sizes), yaxis=accuracy_axis(errors, "accuracy (%)"))
    return drawn


def _draw_student(drawn: go.Figure, student: StudentRecord) -> None:
    spread = 0.0 if math.isnan(student.test_deviation) else 100 * student.test_deviation
    drawn.add_scatter(
        x=[student.cost.parameters],
        y=[error(student.test)],
        # an error has to stay positive on a log axis
        error_y={
            "type": "data",
            "array": [spread],
            "arrayminus": [min(spread, 0.9 * error(student.test))],
            "thickness": 1.5,
            "color": INK,
        },
        mode="markers",
        marker={
            "color": COLOURS[student.architecture.family],
            "symbol": "diamond",
            "size": 13,
            "line": {"color": INK, "width": 1.5},
        },
        text=[
            label(
                student.architecture,
                f"{mean_test(student)} on the test set",
                "trained on validation samples too"
                if student.validation is None
                else f"{percent(student.validation)} validation",
            )
        ],
        hovertemplate="%{text}<extra></extra>",
        legendgroup=student.architecture.family,
        showlegend=False,
    )


def _draw_legend(drawn: go.Figure, content: ReportData) -> None:
    """Legend entries for colours and symbols apart: points without a place."""
    present = {*content.families, *(student.architecture.family for student in content.students)}
    add_family_legend(drawn, [family for family in FAMILIES if family in present])
    for name in _by_outcome(content.trained):
        add_legend(drawn, f"{name} (validation)", name, {"color": QUIET, "symbol": SYMBOLS[name], "size": 9})
    if content.students:
        marker = {"color": QUIET, "symbol": "diamond", "size": 12}
        add_legend(drawn, "retrained (test, mean ± sd)", "retrained", marker)


def _by_outcome(trials: Sequence[TrialRecord]) -> Mapping[str, list[TrialRecord]]:
    return {name: members for name in SYMBOLS if (members := [t for t in trials if t.outcome == name])}
