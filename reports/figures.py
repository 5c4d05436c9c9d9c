"""The figures of a study, drawn from its records."""

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from reports import fates
from reports.content import Content
from reports.curves import curves_figure, retrained_figure
from reports.formats import mean_test, percent
from reports.look import (
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
from space.architecture import FAMILIES
from studies.records import StudentRecord, TrialRecord

SYMBOLS = {"complete": "circle", "pruned": "circle-open", "failed": "x-thin-open", "unfinished": "diamond-open"}
FATE_COLOURS = {
    "complete": "#2f855a",
    "pruned": "#7ea6d8",
    "duplicate": "#c7b6dd",
    "rejected": "#d0d4d9",
    "failed": "#d64545",
    "unfinished": "#f0cf65",
}
TITLES = {
    "front": "Accuracy over parameters",
    "learning-curves": "Learning curves of the search",
    "retrained-curves": "Learning curves of the retrained students",
    "fates": "Trials by family",
}
PRUNED_COLOURS = ("#c6dbf2", "#7ea6d8", "#4678b4", "#285187")


def figures(content: Content) -> dict[str, go.Figure]:
    """All figures that have something to show, by the names in `TITLES`."""
    drawn: dict[str, go.Figure] = {}
    if content.trained or content.students:
        drawn["front"] = front_figure(content)
    if content.trained:
        drawn["learning-curves"] = curves_figure(content)
    if any(student.validation is not None for student in content.students):
        drawn["retrained-curves"] = retrained_figure(content.students)
    if content.trials:
        drawn["fates"] = fates_figure(content)
    return drawn


def front_figure(content: Content) -> go.Figure:
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


def fates_figure(content: Content) -> go.Figure:
    """Where every trial went, a bar a family."""
    families = [f for f in FAMILIES if any(t.architecture.family == f for t in content.trials)]
    drawn = figure(height=130 + 42 * len(families))
    for fate in fates.tally(content):
        counts = [sum(t.architecture.family == family for t in fate.trials) for family in families]
        drawn.add_bar(
            y=families,
            x=counts,
            orientation="h",
            name=fate.name,
            marker={"color": _fate_colour(fate.name), "line": {"color": "white", "width": 1}},
            text=[str(number) if number else "" for number in counts],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate=f"%{{y}}: %{{x}} {fate.name} ({fate.meaning})<extra></extra>",
        )
    drawn.update_layout(
        barmode="stack",
        xaxis={"title": {"text": "trials"}},
        yaxis={"autorange": "reversed", "ticks": "", "showgrid": False, "automargin": True},
        legend={"traceorder": "normal"},
    )
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


def _draw_legend(drawn: go.Figure, content: Content) -> None:
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


def _fate_colour(name: str) -> str:
    if name.startswith("pruned at rung "):
        return PRUNED_COLOURS[min(int(name.rsplit(" ", 1)[1]), len(PRUNED_COLOURS)) - 1]
    return FATE_COLOURS[name]
