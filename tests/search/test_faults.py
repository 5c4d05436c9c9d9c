"""A short run of tests/benchmarks/faults.py: a study that is killed, and torn, ends as an undisturbed one."""

from pathlib import Path

from faults import outcomes


def test_a_study_that_is_killed_and_torn_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    (outcome,) = outcomes(1, 3, tmp_path)
    assert outcome.kills
    assert not outcome.fault, outcome.line
