"""Tables of trained students: random draws of the space with their learning curves, to learn from.

Made by `python tests/benchmarks/table.py DATA`, which says how they were drawn and trained.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from space.architecture import from_json
from space.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent / "assets"


def table_names() -> list[str]:
    """The data sets that have a table."""
    return sorted(path.stem for path in FOLDER.glob("*.parquet"))


def load_table(name: str) -> "pd.DataFrame":
    """The table of a data set, a row a training.

    Columns: `index` of the student, `seed`, `architecture` (an `Architecture`), `params` (what it was drawn by), the
    learning curve as lists of equal length (`epoch`, `train_loss`, `validation_accuracy` as a share,
    `validation_loss` in nats), `seconds`, and `failure` (None where training succeeded).

    Raises:
        InputError: where there is no table of that name.

    >>> table = load_table("mnist-1d")
    >>> table["architecture"][0].family
    'cnn'
    """
    import pandas as pd  # takes half a second, which a command that only checks names need not wait for

    path = FOLDER / f"{name}.parquet"
    if not path.is_file():
        raise InputError(f"no table of '{name}': there are {', '.join(table_names())}")
    table = pd.read_parquet(path)
    architectures, params = table["architecture"].map(from_json), table["params"].map(json.loads)
    return table.assign(architecture=architectures, params=params)


def trained_once(table: "pd.DataFrame") -> "pd.DataFrame":
    """A table's trainings that succeeded, the first seed of each student alone."""
    return table[table["failure"].isna() & (table["seed"] == 0)]
