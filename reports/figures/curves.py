"""Learning curves, of the search and of retraining."""

from collections.abc import Sequence

import plotly.graph_objects as go

from reports.figures.theme import (
    COLOURS,
    accuracy_axis,
    add_family_legend,
    by_family,
    error,
    figure,
    label,
    trial_label,
)
from reports.formats import count, percent
from reports.report_data import ReportData
from space.architecture import FAMILIES, Family
from studies.records import StudentRecord

DASHES = ("solid", "dot", "dash", "longdash", "dashdot")


def curves_figure(content: ReportData) -> go.Figure:
    """Validation accuracy over epochs of every trained trial; those on the search front stand out."""
    drawn = figure()
    leading = {trial.number for trial in content.front}
    for family, trials in by_family(content.trained).items():
        for trial in sorted(trials, key=lambda t: t.number in leading):
            on_front = trial.number in leading
            drawn.add_scatter(
                x=[epoch.epoch for epoch in trial.curve],
                y=[error(epoch.validation_accuracy) for epoch in trial.curve],
                mode="lines+markers",
                line={"color": COLOURS[family], "width": 2.5 if on_front else 1.2},
                marker={"size": 6 if on_front else 4},
                opacity=0.95 if on_front else 0.4,
                text=trial_label(trial),
                hovertemplate="epoch %{x}<br>%{text}<extra></extra>",
                legendgroup=family,
                showlegend=False,
            )
    add_family_legend(drawn, content.families)
    errors = [error(e.validation_accuracy) for t in content.trained for e in t.curve]
    for rung in content.config.search.rungs:
        drawn.add_vline(x=rung, line={"color": "#8c959f", "width": 1, "dash": "dot"})
    drawn.update_layout(
        xaxis={"title": {"text": "epochs (dotted: rungs)"}, "tickvals": list(content.config.search.rungs)},
        yaxis=accuracy_axis(errors, "validation accuracy (%)"),
    )
    return drawn


def retrained_figure(students: Sequence[StudentRecord]) -> go.Figure:
    """Validation accuracy over epochs of every retraining, one line a seed."""
    drawn = figure()
    drawn_of_family: dict[Family, int] = dict.fromkeys(FAMILIES, 0)
    for student in students:
        family = student.architecture.family
        dash = DASHES[drawn_of_family[family] % len(DASHES)]
        drawn_of_family[family] += 1
        for seed in student.seeds:
            drawn.add_scatter(
                x=[epoch.epoch for epoch in seed.curve],
                y=[error(epoch.validation_accuracy) for epoch in seed.curve],
                mode="lines",
                line={"color": COLOURS[family], "width": 1.5, "dash": dash},
                text=label(student.architecture, f"seed {seed.seed}: {percent(seed.validation)} validation at the end"),
                hovertemplate="epoch %{x}<br>%{text}<extra></extra>",
                name=f"{count(student.cost.parameters)} {family}",
                legendgroup=student.architecture.digest,
                showlegend=seed is student.seeds[0],
            )
    curves = [seed.curve for student in students for seed in student.seeds]
    drawn.update_layout(
        xaxis={"title": {"text": "epochs"}, "dtick": _epoch_step(max(curve[-1].epoch for curve in curves))},
        yaxis=accuracy_axis([error(e.validation_accuracy) for c in curves for e in c], "validation accuracy (%)"),
        legend={"title": {"text": "parameters, family"}},
    )
    return drawn


def _epoch_step(epochs: float) -> int:
    return max(1, round(epochs / 10))
