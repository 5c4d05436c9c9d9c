import math
from dataclasses import replace
from pathlib import Path

import pytest

from reports.comparison_page import write_comparison
from reports.facts.comparison import compare, duel_in_words
from reports.facts.report_data import ReportData, gather
from studies.store import Store


def worse(report: ReportData, name: str, by: float) -> ReportData:
    """A study whose students are worse on the test set, and that was asked for other things."""
    students = tuple(
        replace(student, seeds=tuple(replace(seed, test=seed.test - by) for seed in student.seeds))
        for student in report.students
    )
    config = replace(report.config, search=replace(report.config.search, peers=9, sampler="random"))
    return replace(report, name=name, students=students, student_front=students, config=config)


def test_differences_at_equal_sizes_come_with_their_error(finished: Store) -> None:
    first = gather(finished)
    found = compare([first, worse(first, "other", 0.004)])
    assert found.same_data
    assert [contender.name for contender in found.contenders] == ["tiny", "other"]
    assert found.rows
    for row in found.rows:
        (duel,) = row.duels
        assert duel is not None
        assert duel.difference == pytest.approx(-0.004)
        # three seeds each with a deviation of 0.001
        assert duel.error == pytest.approx(0.001 * math.sqrt(2 / 3))
        assert duel.told_apart
        assert duel_in_words(duel) == "-0.40 points ± 0.08"
    assert found.contenders[0].retrained > found.contenders[1].retrained
    assert found.settings == {"search.peers": ["3", "9"], "search.sampler": ['"predictor"', '"random"']}


def test_what_may_be_chance_is_called_so(finished: Store) -> None:
    first = gather(finished)
    (duel,) = compare([first, worse(first, "other", 0.001)]).rows[-1].duels
    assert duel_in_words(duel) == "-0.10 points ± 0.08, may be chance"


def test_a_page_without_a_network_holds_all_of_it(finished: Store, tmp_path: Path) -> None:
    first = gather(finished)
    page = write_comparison(compare([first, worse(first, "other", 0.004)]), tmp_path / "compare.html")
    text = page.read_text()
    assert "http-equiv" not in text and 'src="http' not in text
    assert "search.sampler" in text and "-0.40 points ± 0.08" in text


def test_other_data_are_no_comparison(finished: Store) -> None:
    first = gather(finished)
    assert not compare([first, replace(first, digests={"data": "other"})]).same_data
