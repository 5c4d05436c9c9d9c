"""A data set in the terminal: `wunderkind data`."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kd.data.dataset import DataSet, class_counts
from reports.facts.formats import SPLITS, count, percent, split_sizes

BAR = 20
"""Characters of the longest bar."""


def describe(data: DataSet) -> RenderableType:
    """Render what a data set holds: source, shape, splits, statistics, and how many samples each class has."""
    kind = "sequences of {} steps, {} features" if data.sequences else "images {}×{}×{}"
    counts, splits = class_counts(data), (data.train, data.validation, data.test)
    largest, smallest = int(counts[0].max()), int(counts[0].min())
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("source", data.origin),
        ("digest", data.digest),
        ("shape", f"{kind.format(*data.shape)}, {data.classes} classes"),
        ("splits", split_sizes(data)),
        ("mean", _numbers(data.mean)),
        ("deviation", _numbers(data.std)),
        ("majority", ", ".join(f"{percent(s.majority)} of {name}" for s, name in zip(splits, SPLITS, strict=True))),
        ("imbalance", f"{largest / smallest:.2f} (largest class / smallest, in training)"),
    ):
        facts.add_row(name, Text(value, overflow="fold"))
    table = Table(box=None, pad_edge=False)
    table.add_column("class", overflow="ellipsis", no_wrap=True)
    for name in SPLITS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("share of training", no_wrap=True)
    total = int(counts[0].sum())
    for name, (train, validation, test) in zip(data.names, counts.T.tolist(), strict=True):
        bar = "█" * max(1, round(BAR * train / largest))
        table.add_row(Text(name), count(train), count(validation), count(test), f"{bar} {100 * train / total:.1f} %")
    notes = [Text(f"note: {note}") for note in data.notes]
    return Group(Text(data.name, style="bold"), facts, *notes, Text(), table)


def _numbers(values: tuple[float, ...]) -> str:
    """At most eight numbers, four digits each."""
    shown = "  ".join(f"{value:.4g}" for value in values[:8])
    return f"{shown}  … ({len(values)} in all)" if len(values) > 8 else shown
