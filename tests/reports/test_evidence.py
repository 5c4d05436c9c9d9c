"""The page of evidence shows the tables of the measurements that lie beside it."""

from pathlib import Path

import ablation
import choices
import int8
import live
import pandas as pd
import proposals
import pytest
import replay
import schedules
import surrogate

EVIDENCE = Path(__file__).parents[2] / "reports" / "evidence"


@pytest.mark.parametrize("file", sorted(EVIDENCE.glob("*.csv")), ids=lambda file: file.stem)
def test_the_page_shows_what_was_measured(file: Path) -> None:
    results, page = pd.read_csv(file), (EVIDENCE / "README.md").read_text()
    tables = {
        "schedules": schedules.table,
        "int8": int8.table,
        "replays": replay.table,
        "proposals": proposals.table,
        "live": live.table,
    }
    kind = file.stem.split("-")[0]
    assert (tables[kind](results) if kind in tables else ablation.table(results, "test")) in page


def test_the_page_shows_what_the_shipped_tables_say() -> None:
    page = (EVIDENCE / "README.md").read_text()
    assert surrogate.quality() in page
    assert surrogate.ranks() in page
    assert surrogate.observed() in page
    assert choices.table() in page
