"""Which choices of the space make random students better? python tests/benchmarks/design_space.py [--family cnn]

As in the design of design spaces (Radosavovic et al. 2020) populations are compared, not single networks. A student's
error is taken relative to its family's at its size: the decimal logarithm of the error less a parabola in that of the
parameters, fitted to all students of the family. For every choice of a categorical or whole-number parameter the mean
of that is printed, on each table, with its standard error: -0.10 means a fifth fewer errors than the family's average.
A choice is worth dropping when it is worse than the others on every table.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from grid import markdown

from search.pareto.pruner import log_error
from studies.tables import load_table, table_names, trained_once

FEWEST = 6
"""Students that must have taken a choice."""


def relative(table: pd.DataFrame) -> pd.DataFrame:
    """The students of a table that were trained, with `family` and `relative`, the error relative to their family's."""
    table = trained_once(table).copy()
    table["family"] = [architecture.family for architecture in table["architecture"]]
    table["size"] = np.log10([architecture.cost().parameters for architecture in table["architecture"]])
    table["error"] = [log_error(curve[-1]) for curve in table["validation_accuracy"]]
    parts = []
    for _, students in table.groupby("family"):
        trend = np.polynomial.Polynomial.fit(students["size"], students["error"], min(2, len(students) - 1))
        parts.append(students.assign(relative=students["error"] - trend(students["size"].to_numpy())))
    return pd.concat(parts)


def choices(table: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    """Name, value and relative error of every choice that every student took; ratios of widths are left out."""
    for params, error in zip(table["params"], table["relative"], strict=True):
        for name, value in params.items():
            if not isinstance(value, float):
                yield name, str(value), error


def main(family: Annotated[str | None, typer.Option(help="Of this family's choices alone.")] = None) -> None:
    """Print the table."""
    names = table_names()
    found = pd.concat(
        pd.DataFrame(choices(relative(load_table(name))), columns=["name", "value", "error"]).assign(table=name)
        for name in names
    )
    if family:
        found = found[found["name"].str.startswith(f"{family}.")]
    lines = [["choice", "value", *names]]
    for choice in sorted(set(zip(found["name"], found["value"], strict=True))):
        students = found[(found["name"] == choice[0]) & (found["value"] == choice[1])]
        cells = []
        for table in names:
            errors = students[students["table"] == table]["error"]
            enough = len(errors) >= FEWEST
            cells.append(f"{errors.mean():+.2f} ± {errors.sem():.2f} ({len(errors)})" if enough else "–")
        lines.append([*choice, *cells])
    print(markdown(lines))


if __name__ == "__main__":
    typer.run(main)
