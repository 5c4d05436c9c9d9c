"""Public reference points: what others reach with how many parameters, from a table with sources."""

import csv
from dataclasses import dataclass
from pathlib import Path

POINTS = Path(__file__).parents[1] / "reference" / "points.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePoint:
    """Test accuracy (share) that a public network reaches, where that is said, and how it was measured."""

    parameters: int
    accuracy: float
    what: str
    source: str
    measured: str


def reference_points(data: str) -> list[ReferencePoint]:
    """Those of a data set by its name, smallest first; none where the table has none.

    >>> reference_points("fashion-mnist")[0].parameters
    7659
    """
    with POINTS.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.pop("data") == data]
    points = [
        ReferencePoint(
            parameters=int(row["parameters"]),
            accuracy=float(row["accuracy"]),
            what=row["what"],
            source=row["source"],
            measured=row["measured"],
        )
        for row in rows
    ]
    return sorted(points, key=lambda point: (point.parameters, point.accuracy))
