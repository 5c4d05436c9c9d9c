"""Random draws of every family, their speed and sizes: python tests/benchmarks/draws.py [LIMIT=VALUE ...].

A limit is one of the budget's, like macs=50000; the default is the default budget. Sizes are those of feasible draws.
"""

import random
import statistics
import sys
import time
from itertools import pairwise

from rich.console import Console
from rich.table import Table

from space.architecture import FAMILIES, Architecture, Family
from space.budget import Budget
from space.sampling.domain import Domain, parameter_range, suggest
from space.sampling.random_trial import RandomTrial

DRAWS = 2_000
EDGES = [round(300 * (10_000 / 300) ** (k / 10)) for k in range(11)]
"""Ten bins, even on a log scale."""


def drawn(family: Family, domain: Domain) -> tuple[list[Architecture], float]:
    """Random draws and the median of the microseconds that one took, costing included."""
    architectures, seconds = [], []
    generator = random.Random(0)
    for _ in range(DRAWS):
        started = time.process_time()
        architectures.append(suggest(RandomTrial(generator, {"family": family}), domain, (1, 28, 28), 10))
        architectures[-1].cost()
        seconds.append(time.process_time() - started)
    return architectures, 1e6 * statistics.median(seconds)


def main() -> None:
    limits = {name: int(value) for name, value in (argument.split("=") for argument in sys.argv[1:])}
    budget = Budget(**limits)
    smallest, largest = parameter_range(budget)
    domain, columns = Domain(smallest=smallest, largest=largest, budget=budget), []
    for family in FAMILIES:
        architectures, microseconds = drawn(family, domain)
        sizes = [a.cost().parameters for a in architectures if budget.rejection_reason(a) is None]
        column = [f"{microseconds:.0f} µs", f"{100 * len(sizes) / DRAWS:.1f} %", f"{min(sizes, default=0):,}"]
        for low, high in pairwise(EDGES):
            share = sum(low <= size < high for size in sizes) / max(1, len(sizes))
            column.append(f"{100 * share:4.1f} {'█' * round(50 * share)}")
        columns.append(column)
    bins = [f"{low:,}–{high:,}" for low, high in pairwise(EDGES)]
    table = Table(
        "", *FAMILIES, title=f"{DRAWS:,} draws a family; {budget}", caption="% of the feasible, by parameters"
    )
    for row in zip(["a draw", "feasible", "smallest", *bins], *columns, strict=True):
        table.add_row(*row, end_section=row[0] == "smallest")
    Console().print(table)


if __name__ == "__main__":
    main()
