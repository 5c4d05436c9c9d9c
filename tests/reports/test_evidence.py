"""The page of evidence shows the tables of the measurements that lie beside it."""

from pathlib import Path

import ablation
import pandas as pd
import pytest
import schedules

EVIDENCE = Path(__file__).parents[2] / "reports" / "evidence"


@pytest.mark.parametrize("file", sorted(EVIDENCE.glob("*.csv")), ids=lambda file: file.stem)
def test_the_page_shows_what_was_measured(file: Path) -> None:
    results, page = pd.read_csv(file), (EVIDENCE / "README.md").read_text()
    shown = schedules.table(results) if file.stem == "schedules" else ablation.table(results, "test")
    assert shown in page
