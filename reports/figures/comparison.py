"""Fronts of several studies in one picture."""

import math

import plotly.graph_objects as go

from reports.facts.comparison import Comparison
from reports.facts.formats import mean_test, percent
from reports.figures.theme import (
    MUTED_COLOUR,
    SEQUENCE,
    SYMBOLS,
    accuracy_axis,
    empty_figure,
    error_percent,
    hover_text,
    log_axis,
)

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def comparison_figure(comparison: Comparison) -> go.Figure:
    """A colour a study: its search front as a line, its retrained students on the test set with their spread."""
    figure = empty_figure(height=560)
    sizes: list[float] = []
    errors: list[float] = []
    for index, contender in enumerate(comparison.contenders):
        colour, name = SEQUENCE[index % len(SEQUENCE)], contender.name
        front, students = contender.report.front, contender.report.students
        figure.add_scatter(
            x=[trial.cost.parameters for trial in front],
            y=[error_percent(trial.merit or 0) for trial in front],
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": DASHES[index % len(DASHES)], "shape": "hv"},
            name=f"{name}: search front (validation)",
            legendgroup=name,
            text=[f"{percent(trial.merit)} validation" for trial in front],
            hovertemplate=f"{name}: %{{x}} parameters, %{{text}}<extra></extra>",
        )
        spreads = [0.0 if math.isnan(s.test_deviation) else 100 * s.test_deviation for s in students]
        means = [error_percent(student.test) for student in students]
        figure.add_scatter(
            x=[student.cost.parameters for student in students],
            y=means,
            error_y={
                "type": "data",
                "array": spreads,
                "arrayminus": [min(spread, 0.9 * mean) for spread, mean in zip(spreads, means, strict=True)],
                "color": MUTED_COLOUR,
                "width": 6,
            },
            mode="markers",
            marker={
                "color": colour,
                "symbol": SYMBOLS[index % len(SYMBOLS)],
                "size": 12,
                "line": {"color": MUTED_COLOUR, "width": 1.5},
            },
            name=f"{name}: retrained (test, mean ± sd)",
            legendgroup=name,
            text=[hover_text(s.architecture, f"{mean_test(s)} on the test set", name) for s in students],
            hovertemplate="%{text}<extra></extra>",
        )
        sizes += [one.cost.parameters for one in front] + [one.cost.parameters for one in students]
        errors += [error_percent(trial.merit or 0) for trial in front] + means
    figure.update_layout(
        xaxis=log_axis(sizes, "parameters"),
        yaxis=accuracy_axis(errors, "accuracy (%)"),
        legend={"groupclick": "togglegroup"},
    )
    return figure
