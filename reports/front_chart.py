"""Trials and front as a small chart of characters, for the terminal."""

import math
from collections.abc import Sequence

from rich.text import Text

from reports.facts.formats import count
from studies.records import TrialRecord

WIDTH, HEIGHT = 56, 8
"""Characters of the plot."""
SMALLEST_ERROR = 5e-5
OTHERS, FRONT = "·", "●"


def front_chart(trials: Sequence[TrialRecord], front: Sequence[TrialRecord]) -> Text:
    """Merit over parameters, both on logarithms, that of the error upside down; points of the front stand out.

    Drawn are trained trials no worse than three times the error of the front's worst; nothing without a front.
    """
    if not front:
        return Text()
    worst = max(_error(trial) for trial in front)
    shown = [trial for trial in trials if trial.merit is not None and _error(trial) <= 3 * worst]
    on_front = {trial.number for trial in front}
    errors = [_error(trial) for trial in [*shown, *front]]
    sizes = [trial.cost.parameters for trial in [*shown, *front]]
    best, worst, least, most = min(errors), max(errors), min(sizes), max(sizes)
    cells = [[" "] * WIDTH for _ in range(HEIGHT)]
    for trial in sorted([*shown, *front], key=lambda one: one.number in on_front):
        column = _place(trial.cost.parameters, least, most, WIDTH)
        row = _place(_error(trial), best, worst, HEIGHT)
        cells[row][column] = FRONT if trial.number in on_front else OTHERS
    labels = {0: f"{100 * (1 - best):.2f} %", HEIGHT - 1: f"{100 * (1 - worst):.2f} %"}
    chart = Text()
    for number, line in enumerate(cells):
        chart.append(f"{labels.get(number, ''):>8} │", "dim")
        for character in line:
            chart.append(character, "bold cyan" if character == FRONT else "dim")
        chart.append("\n")
    low, high = count(least), f"{count(most)} parameters"
    chart.append(f"{'':>8} └{'─' * WIDTH}\n{'':>10}{low}{high:>{max(1, WIDTH - len(low))}}", "dim")
    return chart


def _error(trial: TrialRecord) -> float:
    return max(SMALLEST_ERROR, 1 - (trial.merit or 0))


def _place(value: float, low: float, high: float, cells: int) -> int:
    """The cell of a value between two ends, on a logarithm; the first one where both are the same."""
    if high <= low:
        return 0
    return min(cells - 1, int(cells * math.log(value / low) / math.log(high / low)))
