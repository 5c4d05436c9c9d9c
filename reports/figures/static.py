"""Plotly's figures as SVG and PNG files, drawn by Matplotlib: no browser is needed.

It knows the traces that `reports.figures` makes, scatter, bars and heat maps, on linear, logarithmic and category axes.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from kd.files import write_whole
from reports.figures.theme import GRID_COLOUR, MUTED_COLOUR, TEXT_COLOUR

WIDTH, DOTS = 960, 120
"""Pixels that a figure is wide, and dots an inch of a PNG file."""
MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "cross": "P",
    "x": "X",
    "x-thin": "x",
    "asterisk": "$*$",
    "triangle-up": "^",
    "triangle-down": "v",
    "star": "*",
    "pentagon": "p",
    "hexagon": "h",
}
LOOK: Any = {"svg.fonttype": "none", "svg.hashsalt": "wunderkind", "font.family": "sans-serif"}
"""Text stays text, and the same figure gives the same bytes."""
DASHES = {"solid": "-", "dot": ":", "dash": "--", "longdash": (0, (8, 3)), "dashdot": "-."}


def write_static(figure: go.Figure, path: Path, title: str = "") -> list[str]:
    """Write a figure as `path` with the suffixes .svg and .png; returns the files' names."""
    with rc_context(LOOK):
        return _written(draw(figure, title), path)


def _written(drawn: Figure, path: Path) -> list[str]:
    for suffix, options in ((".svg", {"metadata": {"Date": None}}), (".png", {"dpi": DOTS})):
        content = io.BytesIO()
        drawn.savefig(content, format=suffix[1:], **options)
        drawn.set_layout_engine("none")  # which keeps the layout that was found
        write_whole(path.with_suffix(suffix), content.getvalue())
    return [path.with_suffix(suffix).name for suffix in (".svg", ".png")]


def picture(figure: go.Figure, title: str = "") -> bytes:
    """A figure as the content of an SVG file."""
    with rc_context(LOOK):
        content = io.BytesIO()
        draw(figure, title).savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def draw(figure: go.Figure, title: str = "") -> Figure:
    """A figure of Plotly as one of Matplotlib."""
    content = figure.to_plotly_json()
    layout = content["layout"]
    drawn = Figure(figsize=(WIDTH / 100, (layout.get("height") or 480) / 100 + 0.5), layout="constrained")
    FigureCanvasAgg(drawn)
    axes = drawn.add_subplot()
    left: dict[str, float] = {}
    for trace in content["data"]:
        if trace.get("visible", True) is not True:
            continue
        if trace["type"] == "heatmap":
            _heatmap(axes, trace)
        elif trace["type"] == "bar":
            _bars(axes, trace, left, stacked=layout.get("barmode") == "stack")
        else:
            _scatter(axes, trace)
    _lines(axes, layout.get("shapes", []))
    _axis(axes, "x", layout.get("xaxis", {}))
    _axis(axes, "y", layout.get("yaxis", {}))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.set_title(title, loc="left", color=TEXT_COLOUR)
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        drawn.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=8)
    return drawn


def _scatter(axes: Axes, trace: dict[str, Any]) -> None:
    shown = [(x, y) for x, y in zip(trace.get("x", ()), trace.get("y", ()), strict=False)]
    x = [float("nan") if a is None else a for a, _ in shown]
    y = [float("nan") if b is None else b for _, b in shown]
    line, marker, mode = trace.get("line", {}), trace.get("marker", {}), trace.get("mode", "lines")
    symbol = str(marker.get("symbol", "circle"))
    colour = marker.get("color") or line.get("color") or MUTED_COLOUR
    axes.plot(
        x,
        y,
        linestyle=DASHES.get(line.get("dash", "solid"), "-") if "lines" in mode else "none",
        drawstyle="steps-post" if line.get("shape") == "hv" else "default",
        linewidth=line.get("width", 1.5),
        marker=MARKERS.get(symbol.removesuffix("-open"), "o") if "markers" in mode else "",
        markersize=0.75 * _size(marker.get("size", 6)),
        markerfacecolor="none" if symbol.endswith("-open") else colour,
        color=line.get("color") or colour,
        markeredgecolor=(marker.get("line") or {}).get("color") or colour,
        alpha=trace.get("opacity", 1.0),
        label=_plain(trace["name"]) if trace.get("name") and trace.get("showlegend", True) else None,
    )
    for axis in ("x", "y"):
        spread = trace.get(f"error_{axis}") or {}
        if spread.get("array") is not None:
            below = list(spread.get("arrayminus", ()))
            bars = [[max(0.0, b) for b in part] for part in (below or spread["array"], spread["array"])]
            options: dict[str, Any] = {f"{axis}err": bars, "ecolor": MUTED_COLOUR, "capsize": 3, "linewidth": 1.2}
            axes.errorbar(x, y, fmt="none", **options)


def _bars(axes: Axes, trace: dict[str, Any], left: dict[str, float], stacked: bool) -> None:
    names, widths = list(trace["y"]), list(trace["x"])
    bases = trace.get("base")
    starts = list(bases) if bases is not None else [left.get(name, 0.0) if stacked else 0.0 for name in names]
    marker = trace.get("marker", {})
    axes.barh(
        names,
        widths,
        left=starts,
        height=0.7,
        color=_colour(marker.get("color", MUTED_COLOUR)),
        label=_plain(trace["name"]) if trace.get("name") and trace.get("showlegend", True) else None,
    )
    for name, width in zip(names, widths, strict=True):
        left[name] = left.get(name, 0.0) + width
    if trace.get("textposition") != "none" and trace.get("text") is not None:
        for name, start, width, text in zip(names, starts, widths, trace["text"], strict=True):
            axes.text(start + width / 2, name, text, ha="center", va="center", fontsize=8)


def _heatmap(axes: Axes, trace: dict[str, Any]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shares", ["#f5f9fc", "#0072b2"])
    z = [list(row) for row in trace["z"]]
    axes.imshow(z, cmap=shades, aspect="auto", vmin=0, vmax=1)
    axes.set_xticks(range(len(trace["x"])), list(trace["x"]), rotation=0 if len(trace["x"]) <= 12 else 90)
    axes.set_yticks(range(len(trace["y"])), list(trace["y"]))
    if trace.get("texttemplate"):
        for row, texts in enumerate(trace["text"]):
            for column, text in enumerate(texts):
                axes.text(
                    column,
                    row,
                    text,
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if z[row][column] > 0.6 else "black",
                )


def _lines(axes: Axes, shapes: Sequence[dict[str, Any]]) -> None:
    """Vertical lines across the figure."""
    for shape in shapes:
        line = shape.get("line", {})
        axes.axvline(
            shape["x0"],
            color=line.get("color", MUTED_COLOUR),
            linewidth=line.get("width", 1),
            linestyle=DASHES.get(line.get("dash", "solid"), "-"),
        )


def _axis(axes: Axes, name: str, settings: dict[str, Any]) -> None:
    title = (settings.get("title") or {}).get("text", "")
    getattr(axes, f"set_{name}label")(_plain(title), color=TEXT_COLOUR)
    logarithmic = settings.get("type") == "log"
    if logarithmic:
        getattr(axes, f"set_{name}scale")("log")
        getattr(axes, f"{name}axis").set_minor_locator(NullLocator())
    if (span := settings.get("range")) is not None:
        getattr(axes, f"set_{name}lim")([10**end for end in span] if logarithmic else list(span))
    if (ticks := settings.get("tickvals")) is not None:
        labels = settings.get("ticktext")
        labels = [f"{tick:g}" for tick in ticks] if labels is None else list(labels)
        getattr(axes, f"set_{name}ticks")(list(ticks), labels)
    if settings.get("autorange") == "reversed" and not axes.images:
        getattr(axes, f"invert_{name}axis")()
    if settings.get("showticklabels") is False:
        getattr(axes, f"set_{name}ticks")([])
    if settings.get("showgrid") is not False:
        axes.grid(visible=True, axis=name, color=GRID_COLOUR, linewidth=0.8)  # type: ignore[arg-type]


def _size(size: Any) -> float:
    """One size for all points."""
    return sum(size) / max(1, len(size)) if isinstance(size, list | tuple) else float(size)


def _colour(colour: str) -> Any:
    """A colour as Matplotlib has it."""
    found = re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", colour.replace(" ", ""))
    return (*(int(part) / 255 for part in found.groups()[:3]), float(found[4])) if found else colour


def _plain(text: str) -> str:
    """Text without the tags of Plotly, and with dollars that are no formula."""
    return re.sub(r"<[^>]+>", " ", text).replace("$", r"\$")
