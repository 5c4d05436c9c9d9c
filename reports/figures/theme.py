"""What all figures share: colours, axes, legends, hover texts, and the layout of an empty figure."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import plotly.graph_objects as go

from reports.facts.formats import count, counted, number, percent
from space.architecture import FAMILIES, Architecture, Family
from space.describe import describe
from studies.records import TrialRecord

COLOURS: Mapping[Family, str] = {
    "cnn": "#0072b2",
    "depthwise": "#009e73",
    "mlp": "#e69f00",
    "liquid": "#cc79a7",
    "hybrid": "#d55e00",
}
"""Of Okabe and Ito 2008, which people who see few colours can tell apart."""
SEQUENCE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#d55e00",
    "#56b4e9",
    "#9c8b00",
    "#7d6cc7",
    "#8c564b",
    "#7d8590",
)
"""Colours of classes, in turn; symbols tell those apart that share one."""
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "pentagon", "hexagon")
"""Symbols of classes, in turn."""
TEXT_COLOUR, MUTED_COLOUR, GRID_COLOUR = "#24292f", "#7d8590", "#e6e8eb"
"""The first and the last are those of a light page, which a dark one replaces; the second suits both."""
SMALLEST_ERROR = 0.005
"""Per cent; a perfect accuracy is drawn here."""
ROUND = ((1,), (2, 5), (3, 7), (1.5, 4), (1.2, 2.5, 6, 8))
TENTHS = tuple(tenths / 10 for tenths in range(11, 100))
"""Leading digits of a tick, the roundest first; tenths where these are too few."""


def error_percent(accuracy: float) -> float:
    """Error in per cent of an accuracy (share); at least `SMALLEST_ERROR`, so that it has a logarithm."""
    return max(100 * (1 - accuracy), SMALLEST_ERROR)


def log_ticks(low: float, high: float) -> list[float]:
    """Choose at most ten round numbers between two positive ones, apart on a log scale, the roundest first."""
    gap = math.log10(high / low) / 9
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    chosen: list[float] = []
    for steps in (*ROUND, TENTHS):
        if steps is TENTHS and len(chosen) > 3:
            break
        for tick in sorted(round(step * 10**power, 6) for power in powers for step in steps):
            far = all(abs(math.log10(tick / other)) >= gap for other in chosen)
            if low <= tick <= high and far:
                chosen.append(tick)
    return sorted(chosen)


def accuracy_axis(errors: Sequence[float], title: str) -> dict[str, Any]:
    """Axis of accuracy for points at `errors` (per cent): the error on a log scale, upside down.

    Accuracies of good students bunch below 100 %; on this axis halving the error is always the same step up.
    """
    low, high = min(errors, default=1.0) / 1.2, max(errors, default=10.0) * 1.2
    ticks = log_ticks(low, min(high, 99.0))
    return {
        "title": {"text": title, "standoff": 12},
        "type": "log",
        "range": [math.log10(high), math.log10(low)],
        "tickvals": ticks,
        "ticktext": [f"{100 - tick:.6g}" for tick in ticks],
    }


def log_axis(sizes: Sequence[float], title: str, least: float = 1.0) -> dict[str, Any]:
    """Axis of counts, or of numbers that are `least` at least, on a log scale for points at `sizes`."""
    low = max(least, min(sizes, default=100)) / 1.15
    high = max(*sizes, 2 * least) * 1.15 if sizes else 10_000 * 1.15
    ticks = log_ticks(low, high)
    return {
        "title": {"text": title, "standoff": 12},
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [count(round(tick)) if tick == round(tick) else number(tick) for tick in ticks],
    }


def empty_figure(height: int = 480) -> go.Figure:
    """Make a figure that has the common layout and nothing in it; `height` is in pixels."""
    figure = go.Figure()
    axis = {
        "gridcolor": GRID_COLOUR,
        "linecolor": MUTED_COLOUR,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
    }
    figure.update_layout(
        # Plotly's own template would put 7 kB into every figure
        template=go.layout.Template(),
        height=height,
        margin={"l": 70, "r": 40, "t": 20, "b": 50},
        modebar={"orientation": "v", "bgcolor": "rgba(0, 0, 0, 0)", "color": MUTED_COLOUR},
        font={"family": "system-ui, sans-serif", "size": 13, "color": TEXT_COLOUR},
        plot_bgcolor="white",
        paper_bgcolor="white",
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"size": 12}},
        legend={"groupclick": "togglegroup", "orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        xaxis=axis,
        yaxis=axis,
    )
    return figure


def add_legend_entry(figure: go.Figure, name: str, group: str, marker: Mapping[str, Any]) -> None:
    """Add an entry to the legend that stands for a group of traces: a point without a position."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"line": {"width": 1.5}, **marker},
        name=name,
        legendgroup=group,
    )


def add_family_legend(figure: go.Figure, families: Sequence[Family]) -> None:
    """Add the families' colours to the legend; a click there hides a family."""
    for family in families:
        add_legend_entry(figure, family, family, {"color": COLOURS[family], "symbol": "square", "size": 11})


def hover_text(architecture: Architecture, *lines: str) -> str:
    """Text shown under the mouse: the student's digest, layers and size, then `lines`."""
    head = f"<b>{architecture.digest}</b> {architecture.family}"
    layers = textwrap.wrap(describe(architecture), 64)
    size = f"{count(architecture.cost().parameters)} parameters"
    return "<br>".join([head, *layers, size, *lines])


def trial_hover_text(trial: TrialRecord) -> str:
    """Text shown under the mouse for a trained trial."""
    measure = "" if trial.metric == "accuracy" else f" {trial.metric.replace('_', ' ')}"
    result = f"{percent(trial.merit)} validation{measure} after {counted(trial.epochs, 'epoch')}"
    return hover_text(trial.architecture, result, f"trial {trial.number}: {trial.outcome}")


def by_family(trials: Sequence[TrialRecord]) -> dict[Family, list[TrialRecord]]:
    """Trials by family, in the order that families always have."""
    ordered = sorted(trials, key=lambda t: FAMILIES.index(t.architecture.family))
    return {family: list(group) for family, group in groupby(ordered, lambda t: t.architecture.family)}
