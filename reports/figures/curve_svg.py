"""A learning curve as a small SVG file, for the dashboard's trial pages."""

import math
from collections.abc import Callable

from reports.facts.formats import percent
from reports.figures.theme import COLOURS, GRID_COLOUR, TEXT_COLOUR, error_percent, log_ticks
from studies.records import TrialRecord

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 44
"""Margins around the plot, in pixels."""


def curve_svg(trial: TrialRecord) -> str:
    """Plot the validation accuracy of a trained trial over epochs; the scale is that of the error's logarithm."""
    errors = [error_percent(epoch.validation_accuracy) for epoch in trial.curve]
    low, high = min(errors) / 1.2, max(errors) * 1.2
    last = trial.curve[-1].epoch

    def x_of(epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * epoch / last

    def y_of(error: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * math.log(error / low) / math.log(high / low)

    points = [(x_of(epoch.epoch), y_of(error)) for epoch, error in zip(trial.curve, errors, strict=True)]
    colour = COLOURS[trial.architecture.family]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    title = f"trial {trial.number}, {trial.architecture.family}: {percent(trial.accuracy)} validation"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 24, title, "start"),
        *_accuracy_ticks(low, high, y_of),
        *_epoch_ticks(last, x_of),
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _accuracy_ticks(low: float, high: float, y_of: Callable[[float], float]) -> list[str]:
    parts = []
    for error in log_ticks(low, min(high, 99.0)):
        y = y_of(error)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID_COLOUR}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{100 - error:.6g}", "end"))
    return parts


def _epoch_ticks(last: float, x_of: Callable[[float], float]) -> list[str]:
    step = max(1, round(last / 8))
    numbers = [_text(x_of(epoch), HEIGHT - 26, str(epoch), "middle") for epoch in range(0, math.floor(last) + 1, step)]
    return [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "epochs", "middle"), *numbers]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{TEXT_COLOUR}">{text}</text>'
