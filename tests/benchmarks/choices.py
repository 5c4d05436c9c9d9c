"""Which choices make random students better or worse at their size: python tests/benchmarks/choices.py

A design space is judged by its random draws (Radosavovic et al. 2020). Of every table's students the logarithm of the
error at the end is taken less a parabola in the logarithm of the parameters, in standard deviations: below 0 is better
than others of that size. Printed are the means of families, and of the values of all choices, where those are less the
mean of the student's family: what has at least `FEWEST` students of two tables or more, the same sign in all, and is
more than `SURE` standard errors from 0 in two of them.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from grid import markdown
from surrogate import beyond_size

from search.samplers.predictor import end_errors, matrix
from studies.tables import load_table, table_names, trained_once

FEWEST = 8
SURE = 2.0

Choice = tuple[str, str]


def chosen(params: dict[str, Any]) -> Iterator[Choice]:
    """The choices of a student: names without the family, and values; continuous ones are left out."""
    for name, value in params.items():
        if name not in ("family", "size") and not isinstance(value, float):
            yield name.split(".", 1)[1], str(value)


def means(name: str) -> dict[Choice, tuple[float, float, int]]:
    """Mean, standard error and number of students of the families and choices in a table."""
    table = trained_once(load_table(name))
    value = beyond_size(matrix(list(table["architecture"])), end_errors(table))
    family = pd.Series([params["family"] for params in table["params"]])
    values = pd.Series(value / value.std())
    within = values - values.groupby(family).transform("mean")
    found: dict[Choice, list[float]] = defaultdict(list)
    for own, alone, params in zip(values, within, table["params"], strict=True):
        found["family", params["family"]].append(own)
        for choice in dict.fromkeys(chosen(params)):
            found[choice].append(alone)
    return {
        choice: (float(np.mean(v)), float(np.std(v, ddof=1) / len(v) ** 0.5), len(v))
        for choice, v in found.items()
        if len(v) >= FEWEST
    }


def table() -> str:
    """Markdown: a row a choice, the best first, a column a table."""
    names = table_names()
    known = {name: means(name) for name in names}
    rows = []
    for choice in dict.fromkeys(choice for of in known.values() for choice in of):
        cells = [known[name].get(choice) for name in names]
        there = [cell for cell in cells if cell]
        sure = sum(abs(mean) > SURE * error for mean, error, _ in there)
        if len(there) > 1 and sure > 1 and len({mean > 0 for mean, _, _ in there}) == 1:
            words = [f"{cell[0]:+.2f} ± {cell[1]:.2f} ({cell[2]})" if cell else "–" for cell in cells]
            rows.append((sum(mean for mean, _, _ in there) / len(there), [*choice, *words]))
    return markdown([["choice", "value", *names], *(row for _, row in sorted(rows))])


if __name__ == "__main__":
    print(table())
