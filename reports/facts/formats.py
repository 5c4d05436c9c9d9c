"""How numbers are written, the same in every page, table and figure."""

import statistics
from collections.abc import Sequence

from kd.data.dataset import DataSet
from space.blocks.base import Shape
from space.cost import Cost
from studies.records import StudentRecord, TrialRecord

SPLITS = ("training", "validation", "test")


def percent(share: float | None) -> str:
    """Write a share as per cent with two digits; a dash for None."""
    return "–" if share is None else f"{100 * share:.2f} %"


def points(difference: float) -> str:
    """Write a difference of shares in percentage points."""
    return f"{100 * difference:.2f} points"


def gain(difference: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.2f} points"


def level(share: float) -> str:
    """Write a round share, like 98 % and 99.5 %."""
    return f"{100 * share:.6g} %"


def count(value: int | None) -> str:
    """Write a whole number with thousands separated; a dash for None."""
    return "–" if value is None else f"{value:,}"


def number(value: float) -> str:
    """Write a number with at most six digits and thousands separated; whole ones without a point."""
    return f"{value:,g}"


def counted(value: float, noun: str) -> str:
    """Write a number with its noun, like "1 trial" and "2 trials"."""
    return f"{number(value)} {noun}" if value == 1 else f"{number(value)} {noun}s"


def dimensions(shape: Shape) -> str:
    """Write a shape as channels×height×width, a vector as its length."""
    return count(shape[0]) if shape[1:] == (1, 1) else "×".join(map(str, shape))


def costs(cost: Cost) -> str:
    """Write all costs of a student in a line."""
    return (
        f"{count(cost.parameters)} parameters ({count(cost.deployed_parameters)} deployed), {count(cost.macs)} MACs, "
        f"{count(cost.memory_bytes)} B memory, {count(cost.int8_bytes)} B int8"
    )


def searched_recipe(trial: TrialRecord) -> str:
    """Write the parts of a trial's recipe that were searched."""
    parts = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in trial.recipe.values())
    return ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in zip(trial.recipe, parts, strict=True))


def mean_test(student: StudentRecord) -> str:
    """Write a student's test accuracies, in float and int8, as mean ± sample standard deviation, with n."""
    note = f"; int8 {_mean(student.int8_tests)}" if student.int8_tests else ""
    return f"{_mean(student.tests)} (n = {len(student.tests)}{note})"


def mean_float(student: StudentRecord) -> str:
    """Write those in float alone, where int8 has a column of its own."""
    return f"{_mean(student.tests)} (n = {len(student.tests)})"


def mean_int8(student: StudentRecord) -> str:
    """Write those in int8 alone; a dash where a seed has no quantised twin."""
    return _mean(student.int8_tests) if student.int8_tests else "–"


def _mean(shares: Sequence[float]) -> str:
    mean = f"{100 * statistics.fmean(shares):.2f}"
    return f"{mean} ± {100 * statistics.stdev(shares):.2f} %" if len(shares) > 1 else f"{mean} %"


def retrain_command(student: StudentRecord, study: str) -> str:
    """Write the command that retrains a student of a study; `study` is how commands name it."""
    which = f"--student {student.architecture.digest}" if student.trial is None else f"--trial {student.trial}"
    return f"wunderkind retrain {study} {which}"


def duration(seconds: float) -> str:
    """Write a time in the largest unit that keeps it above one."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def split_sizes(data: DataSet) -> str:
    """Write how many samples each split has."""
    return ", ".join(
        f"{count(len(split.labels))} {name}"
        for split, name in zip((data.train, data.validation, data.test), SPLITS, strict=True)
    )
