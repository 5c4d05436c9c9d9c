"""How a search went: growth of the front, funnel, timeline of the workers, importance of choices, ranking of rungs."""

from collections.abc import Sequence

import plotly.graph_objects as go

from reports.facts.choices import Importance
from reports.facts.course import Stage, Timeline
from reports.facts.formats import counted
from reports.facts.hypervolume import Growth
from reports.facts.report_data import ReportData
from reports.figures.theme import (
    COLOURS,
    accuracy_axis,
    add_family_legend,
    by_family,
    empty_figure,
    error_percent,
    trial_hover_text,
)
from space.architecture import FAMILIES

ACCENT, RETRAINING = "#0072b2", "#7d6cc7"
BAR = 30
"""Pixels of a row of bars."""
LISTED, SMALLEST_SHARE = 5, 0.03
"""Choices that are shown of a family at most, and what they explain at least."""


def growth_figure(grown: list[Growth]) -> go.Figure:
    """The front's hypervolume over the training images seen so far."""
    figure = empty_figure(height=380)
    figure.add_scatter(
        x=[0, *(point.images for point in grown)],
        y=[0, *(point.hypervolume for point in grown)],
        mode="lines",
        line={"shape": "hv", "width": 2, "color": ACCENT},
        hovertemplate="%{x:.3s} images: %{y:.3f}<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(
        xaxis={"title": {"text": "training images, all candidates together"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "hypervolume (decades²)"}, "rangemode": "tozero"},
    )
    return figure


def funnel_figure(stages: list[Stage]) -> go.Figure:
    """How many students came how far."""
    figure = empty_figure(height=70 + BAR * len(stages))
    figure.add_bar(
        y=[stage.name for stage in stages],
        x=[stage.students for stage in stages],
        orientation="h",
        marker={"color": ACCENT},
        text=[f"{stage.students:,}" for stage in stages],
        textposition="auto",
        textangle=0,
        hovertemplate="%{y}: %{x}<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(xaxis={"title": {"text": "students"}}, yaxis={"autorange": "reversed", "ticks": ""})
    return figure


def timeline_figure(timeline: Timeline) -> go.Figure:
    """A row a worker, a bar a stretch of training."""
    unit, seconds = ("min", 60.0) if timeline.seconds < 7200 else ("h", 3600.0)
    figure = empty_figure(height=110 + BAR * timeline.workers)
    by_group: dict[str, str] = {str(name): colour for name, colour in COLOURS.items()}
    for group in (*FAMILIES, "retraining"):
        spans = [span for span in timeline.spans if span.group == group]
        if not spans:
            continue
        figure.add_bar(
            y=[f"worker {span.worker + 1}" for span in spans],
            x=[(span.end - span.start) / seconds for span in spans],
            base=[span.start / seconds for span in spans],
            orientation="h",
            name=group,
            marker={
                "color": by_group.get(group, RETRAINING),
                "line": {"color": "white", "width": 0.5 if len(spans) < 300 else 0},
            },
            text=[span.name for span in spans],
            textposition="none",
            hovertemplate=f"%{{text}}<br>from %{{base:.2f}} {unit}, %{{x:.2f}} {unit} long<extra>{group}</extra>",
        )
    workers = [f"worker {number + 1}" for number in range(timeline.workers)]
    figure.update_layout(
        barmode="overlay",
        xaxis={"title": {"text": f"since the first training began ({unit})"}},
        yaxis={"categoryorder": "array", "categoryarray": workers[::-1], "ticks": ""},
    )
    return figure


def importance_figure(found: Sequence[Importance]) -> go.Figure:
    """What share of the differences each choice explains: among all families, then within each that drew enough."""
    by_scope: dict[str, str] = {str(name): colour for name, colour in COLOURS.items()}
    scopes = list(dict.fromkeys(one.scope for one in found))
    figure, rows = empty_figure(), 0
    for scope in scopes:
        listed = [one for one in found if one.scope == scope and one.share >= SMALLEST_SHARE][:LISTED]
        if not listed:
            continue
        rows += len(listed)
        figure.add_bar(
            y=[
                one.name if one.name.startswith(scope) or scope == scopes[0] else f"{scope}: {one.name}"
                for one in listed
            ],
            x=[100 * one.share for one in listed],
            orientation="h",
            name=f"{scope} ({counted(listed[0].trials, 'trial')})",
            marker={"color": by_scope.get(scope, ACCENT)},
            hovertemplate="%{y}: %{x:.0f} %<extra></extra>",
        )
    figure.update_layout(
        height=140 + BAR * rows,
        barmode="overlay",
        xaxis={"title": {"text": "share of the differences that it explains (%)"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "ticks": ""},
        showlegend=True,
    )
    return figure


def ranking_figure(report: ReportData) -> go.Figure:
    """The metric after the first rung beside that after the last, of the trials that reached it."""
    first, last = report.config.search.rungs[0], report.config.search.rungs[-1]
    figure = empty_figure(height=440)
    lefts: list[float] = []
    rights: list[float] = []
    for family, trials in by_family([t for t in report.trained if t.at(last) is not None]).items():
        x, y = ([error_percent(trial.at(rung) or 0) for trial in trials] for rung in (first, last))
        lefts, rights = [*lefts, *x], [*rights, *y]
        figure.add_scatter(
            x=x,
            y=y,
            mode="markers",
            marker={"color": COLOURS[family], "size": 9},
            text=[trial_hover_text(trial) for trial in trials],
            hovertemplate="%{text}<extra></extra>",
            legendgroup=family,
            showlegend=False,
        )
    add_family_legend(figure, report.families)
    figure.update_layout(
        xaxis=accuracy_axis(lefts, f"validation after {counted(first, 'epoch')} (%)"),
        yaxis=accuracy_axis(rights, f"validation after {counted(last, 'epoch')} (%)"),
    )
    return figure
