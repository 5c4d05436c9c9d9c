"""A learning curve as a small SVG picture, for the dashboard's trial pages."""

import math

from reports.figures.theme import COLOURS, FAINT, INK, error, ticks
from reports.formats import percent
from studies.records import TrialRecord

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 44


def curve_svg(trial: TrialRecord) -> str:
    """Draw the validation accuracy of a trained trial over epochs; the scale is that of the error's logarithm."""
    errors = [error(epoch.validation_accuracy) for epoch in trial.curve]
    low, high = min(errors) / 1.2, max(errors) * 1.2
    last = trial.curve[-1].epoch

    def across(epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * epoch / last

    def down(wrong: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * math.log(wrong / low) / math.log(high / low)

    points = [(across(e.epoch), down(wrong)) for e, wrong in zip(trial.curve, errors, strict=True)]
    colour = COLOURS[trial.architecture.family]
    title = f"trial {trial.number}, {trial.architecture.family}: {percent(trial.accuracy)} validation"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 24, title, "start"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "epochs", "middle"),
    ]
    for mark in ticks(low, min(high, 99.0)):
        y = down(mark)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{100 - mark:.6g}", "end"))
    step = max(1, round(last / 8))
    parts += [_text(across(epoch), HEIGHT - 26, str(epoch), "middle") for epoch in range(0, math.floor(last) + 1, step)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    return "\n".join([*parts, "</svg>\n"])


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{words}</text>'
