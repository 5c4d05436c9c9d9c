"""Facts on how a search went, on studies worked out by hand."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from reports.facts.certainty import difference_error, sampling_error, seeds_needed
from reports.facts.choices import FEWEST, importances, shared_choices
from reports.facts.course import draws, funnel, timeline
from reports.facts.hypervolume import Corner, growth, hypervolume
from reports.facts.levels import levels
from reports.facts.ranking import correlation, rankings
from reports.facts.reference import POINTS, reference_points
from reports.facts.report_data import ReportData, gather
from reports.facts.reproduction import changed_settings, to_toml
from studies.configuration.file import read
from studies.store import Store

CORNER = Corner(error=0.1, parameters=10_000)


def test_the_hypervolume_is_the_area_below_the_front() -> None:
    assert hypervolume([], CORNER) == 0
    assert hypervolume([(1_000, 0.99)], CORNER) == pytest.approx(1)
    # dominated points and those beyond the corner add nothing
    more = [(1_000, 0.99), (2_000, 0.98), (20_000, 0.9999), (50, 0.5)]
    assert hypervolume(more, CORNER) == pytest.approx(1)
    assert hypervolume([(1_000, 0.99), (100, 0.9683772)], CORNER) == pytest.approx(1 + 0.5, abs=1e-4)


def test_it_never_falls_and_counts_the_images_of_all_rungs(thousand: ReportData) -> None:
    grown = growth(thousand)
    values = [point.hypervolume for point in grown]
    assert values == sorted(values) and values[-1] > 0
    complete = sum(trial.outcome == "complete" for trial in thousand.trials)
    assert len(grown) == complete
    images = sum(trial.epochs for trial in thousand.trials) * thousand.samples.train
    assert grown[-1].images == pytest.approx(images, rel=0.05)


def test_the_funnel_narrows(searched: Store) -> None:
    stages = funnel(gather(searched))
    assert [(stage.name, stage.students) for stage in stages] == [
        ("suggested", 10),
        ("within the budget and new", 8),
        ("trained for 1 epoch", 8),
        ("trained for 3 epochs", 5),
        ("trained for 9 epochs", 4),
        ("on the front", len(gather(searched).front)),
        ("retrained", 0),
    ]


def test_the_timeline_has_as_many_workers_as_overlap(thousand: ReportData) -> None:
    found = timeline(thousand)
    assert found is not None
    assert found.workers == 4
    for worker in range(4):
        spans = sorted((span.start, span.end) for span in found.spans if span.worker == worker)
        assert all(before[1] <= after[0] + 1e-6 for before, after in pairwise(spans))
    assert 0 < found.busy <= 1


def test_a_study_of_which_no_time_is_known_has_no_timeline(searched: Store) -> None:
    assert timeline(gather(searched)) is None


def test_draws_are_told_by_who_drew_them(thousand: ReportData) -> None:
    start, rest = draws(thousand)
    assert (start.name, start.suggested) == ("start", thousand.config.search.startup)
    assert rest.suggested == 1_000 - start.suggested
    assert start.on_front + rest.on_front == len(thousand.front)


def test_what_decides_the_accuracy_is_found(thousand: ReportData) -> None:
    def decided(number: int) -> dict[str, object]:
        return {"family": "cnn" if number % 2 else "mlp", "size": float(number % 7), "noise": number % 5}

    trials = tuple(
        replace(
            trial,
            params=decided(trial.number),
            curve=tuple(
                replace(point, validation_accuracy=0.5 + 0.06 * (trial.number % 7) + 0.002 * (trial.number % 2))
                for point in trial.curve
            ),
        )
        for trial in thousand.trials[:120]
    )
    found = importances(replace(thousand, trials=trials))
    assert found[0].name == "size" and found[0].share > 0.9
    assert importances(replace(thousand, trials=trials[: FEWEST - 1])) == []


def test_what_the_front_shares_is_rarer_elsewhere(thousand: ReportData) -> None:
    front = tuple(replace(trial, params={"head": "flatten", "kernel": 3}) for trial in thousand.front)
    others = tuple(
        replace(trial, params={"head": "pool", "kernel": 3}) for trial in thousand.trials if trial not in thousand.front
    )
    (one,) = shared_choices(replace(thousand, front=front, trials=(*front, *others)))
    assert (one.name, one.value, one.front, one.of_front, one.others) == ("head", "flatten", len(front), len(front), 0)


def test_rank_correlations_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    first, second = [3.0, 1.0, 2.0, 2.0, 9.0], [1.0, 4.0, 2.0, 3.0, 8.0]
    assert correlation(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert math.isnan(correlation([1, 1], [1, 2]))


def test_rungs_are_ranked_among_those_that_reached_the_last(thousand: ReportData) -> None:
    found = rankings(thousand)
    reached = sum(trial.epochs >= 9 for trial in thousand.trials)
    assert [(one.early, one.later, one.students) for one in found][:2] == [
        ("after 1 epoch", "after 9 epochs", reached),
        ("after 3 epochs", "after 9 epochs", reached),
    ]


def test_errors_are_those_of_the_textbook() -> None:
    assert sampling_error(0.995, 10_000) == pytest.approx(0.000705, rel=1e-2)
    stats = pytest.importorskip("scipy.stats")
    first, second = [0.99, 0.992, 0.991], [0.985, 0.984, 0.988, 0.986]
    welch = stats.ttest_ind(first, second, equal_var=False).statistic
    difference = sum(first) / 3 - sum(second) / 4
    assert difference / difference_error(first, second) == pytest.approx(welch)
    assert math.isnan(difference_error([0.99], second))
    needed = seeds_needed([0.991, 0.993], [0.990, 0.993])
    assert needed > 2


def test_levels_name_the_smallest_student_and_the_smallest_public_network(retrained: Store) -> None:
    report = gather(retrained)
    found = levels(report)
    assert [one.level for one in found] == [0.96, 0.98, 0.99, 0.995]
    small, large = report.students
    assert [one.student for one in found] == [small, large, large, None]
    assert found[-1].public is not None and found[-1].public.parameters == 3_762
    assert [one.sure for one in found] == [True, True, True, False]


def test_every_reference_point_has_a_source() -> None:
    names = {line.partition(",")[0] for line in POINTS.read_text().splitlines()[1:]}
    assert {"mnist", "fashion-mnist"} <= names
    for name in names:
        for point in reference_points(name):
            assert point.source and point.measured and 0.5 < point.accuracy < 1 and point.parameters > 100


def test_the_file_that_reproduces_a_study_asks_for_the_same(retrained: Store) -> None:
    path = retrained.directory.path / "study.toml"
    path.write_text(to_toml(retrained.config))
    assert read(str(path)) == retrained.config
    changed = {setting.key: setting.value for setting in changed_settings(retrained.config)}
    assert changed["search.trials"] == "7"
    assert "search.peers" not in changed
