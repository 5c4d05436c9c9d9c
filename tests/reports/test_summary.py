import io

from rich.console import Console

from reports.summary import status
from studies.front import front
from studies.records import student_records, trial_records
from studies.store import Store


def printed(store: Store, width: int = 110, watched: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(status(store, watched=watched))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_says_where_the_study_stands(retrained: Store) -> None:
    text = printed(retrained)
    assert "4 complete, 1 pruned at rung 2, 1 pruned at rung 1, 1 duplicate, 1 rejected, 1 failed" in text
    assert "families: cnn, depthwise, mlp, liquid" in text
    assert "99.38 ± 0.03 % (n = 3)" in text
    for record in front(trial_records(retrained), 0):
        assert f"{record.cost.parameters:,}" in text


def test_an_unfinished_study_is_to_be_run_again(searched: Store) -> None:
    assert "Next: wunderkind run --name tiny" in printed(searched)


def test_an_empty_study_is_to_be_run(empty: Store) -> None:
    text = printed(empty)
    assert "Nothing has been tried yet." in text
    assert "Next: wunderkind run" in text


def test_a_finished_study_is_to_be_served_and_verified(finished: Store) -> None:
    text = printed(finished)
    assert "wunderkind dashboard tiny" in text
    assert "wunderkind verify tiny" in text
    assert "wunderkind run" not in text


def test_fits_a_narrow_terminal(retrained: Store) -> None:
    text = printed(retrained, 80)
    assert "97.54 % (n = 1)" in text
    for student in student_records(retrained):
        row = next(line for line in text.splitlines() if line.startswith(student.architecture.digest))
        assert f" {student.cost.parameters:,} " in row
        assert f" {student.architecture.family} " in row


def test_one_that_is_watched_has_a_chart_of_its_front(retrained: Store) -> None:
    text = printed(retrained, watched=True)
    points = front(trial_records(retrained), 0)
    chart = [line.partition("│")[2] for line in text.splitlines() if "│" in line]
    assert 1 <= sum(line.count("●") for line in chart) <= len(points)
    assert "●" not in printed(retrained)
    assert "Nothing is trained yet." in text  # by the clock, at which nobody looked
