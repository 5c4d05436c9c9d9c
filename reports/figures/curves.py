"""Learning curves, of the search and of retraining."""

from collections.abc import Sequence

import plotly.graph_objects as go

from reports.facts.formats import count, percent
from reports.facts.metric import metric_in_words
from reports.facts.report_data import ReportData
from reports.figures.theme import (
    COLOURS,
    accuracy_axis,
    add_family_legend,
    by_family,
    empty_figure,
    error_percent,
    hover_text,
    trial_hover_text,
)
from space.architecture import FAMILIES, Family
from studies.records import SeedRecord, StudentRecord, TrialRecord

DASHES = ("solid", "dot", "dash", "longdash", "dashdot")
"""Line styles, for students of one family."""


def search_curves_figure(report: ReportData) -> go.Figure:
    """Validation accuracy over epochs of every trained trial; those on the search front stand out."""
    figure = empty_figure()
    on_front = {trial.number for trial in report.front}
    for family, trials in by_family(report.trained).items():
        _add_others(figure, family, [trial for trial in trials if trial.number not in on_front])
    for trial in report.front:
        _add_trial(figure, trial)
    add_family_legend(figure, report.families)
    rungs = report.config.search.rungs
    for rung in rungs:
        figure.add_vline(x=rung, line={"color": "#8c959f", "width": 1, "dash": "dot"})
    errors = [error_percent(epoch.score(trial.metric)) for trial in report.trained for epoch in trial.curve]
    figure.update_layout(
        xaxis={"title": {"text": "epochs (dotted: rungs)"}, "tickvals": list(rungs)},
        yaxis=accuracy_axis(errors, f"validation {metric_in_words(report.config.search.metric)} (%)"),
    )
    return figure


def retraining_curves_figure(students: Sequence[StudentRecord]) -> go.Figure:
    """Validation accuracy over epochs of every retraining, one line a seed."""
    figure = empty_figure()
    students_of_family: dict[Family, int] = dict.fromkeys(FAMILIES, 0)
    for student in students:
        family = student.architecture.family
        dash = DASHES[students_of_family[family] % len(DASHES)]
        students_of_family[family] += 1
        for seed in student.seeds:
            _add_seed(figure, student, seed, dash)
    curves = [seed.curve for student in students for seed in student.seeds]
    errors = [error_percent(epoch.validation_accuracy) for curve in curves for epoch in curve]
    figure.update_layout(
        xaxis={"title": {"text": "epochs"}, "dtick": _epoch_step(max(curve[-1].epoch for curve in curves))},
        yaxis=accuracy_axis(errors, "validation accuracy (%)"),
        legend={"title": {"text": "parameters, family"}},
    )
    return figure


def _add_others(figure: go.Figure, family: Family, trials: Sequence[TrialRecord]) -> None:
    """The curves of trials that are not on the front, as one line with gaps: a thousand lines would take seconds."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for trial in trials:
        x += [*(epoch.epoch for epoch in trial.curve), None]
        y += [*(error_percent(epoch.score(trial.metric)) for epoch in trial.curve), None]
        text += [f"trial {trial.number}, {count(trial.cost.parameters)} parameters: {trial.outcome}"] * len(trial.curve)
        text.append("")
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        connectgaps=False,
        line={"color": COLOURS[family], "width": 1},
        marker={"size": 3},
        opacity=0.35,
        text=text,
        hovertemplate="epoch %{x}<br>%{text}<extra></extra>",
        legendgroup=family,
        showlegend=False,
    )


def _add_trial(figure: go.Figure, trial: TrialRecord) -> None:
    family = trial.architecture.family
    figure.add_scatter(
        x=[epoch.epoch for epoch in trial.curve],
        y=[error_percent(epoch.score(trial.metric)) for epoch in trial.curve],
        mode="lines+markers",
        line={"color": COLOURS[family], "width": 2.5},
        marker={"size": 6},
        text=trial_hover_text(trial),
        hovertemplate="epoch %{x}<br>%{text}<extra></extra>",
        legendgroup=family,
        showlegend=False,
    )


def _add_seed(figure: go.Figure, student: StudentRecord, seed: SeedRecord, dash: str) -> None:
    architecture = student.architecture
    figure.add_scatter(
        x=[epoch.epoch for epoch in seed.curve],
        y=[error_percent(epoch.validation_accuracy) for epoch in seed.curve],
        mode="lines",
        line={"color": COLOURS[architecture.family], "width": 1.5, "dash": dash},
        text=hover_text(architecture, f"seed {seed.seed}: {percent(seed.validation)} validation at the end"),
        hovertemplate="epoch %{x}<br>%{text}<extra></extra>",
        name=f"{count(student.cost.parameters)} {architecture.family}",
        legendgroup=architecture.digest,
        showlegend=seed is student.seeds[0],
    )


def _epoch_step(epochs: float) -> int:
    return max(1, round(epochs / 10))
