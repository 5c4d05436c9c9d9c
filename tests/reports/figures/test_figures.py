import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import torch
from PIL import Image

from kd.students.embedding import Embedding
from kd.students.scores import Scores
from reports.facts.evidence import gather_evidence
from reports.facts.price import PRICES, price, prices
from reports.facts.report_data import gather
from reports.figures.curve_svg import curve_svg
from reports.figures.pareto import front_figure, switched
from reports.figures.static import write_static
from reports.figures.student import features_figure
from reports.figures.study_figures import CAPTIONS, TITLES, student_figures, study_figures
from reports.figures.theme import COLOURS, error_percent, log_ticks
from space.architecture import FAMILIES
from studies.records import student_records, trial_records
from studies.store import Store


def points(figure: dict[str, object], symbol: str) -> set[tuple[float, float]]:
    """Where a figure has points of a symbol, legend entries aside."""
    traces = figure["data"]
    assert isinstance(traces, list)
    return {
        (x, y)
        for trace in traces
        if trace.get("marker", {}).get("symbol") == symbol
        for x, y in zip(trace["x"], trace["y"], strict=True)
        if x is not None
    }


def test_the_front_shows_every_trained_trial_and_student(retrained: Store) -> None:
    figure = json.loads(front_figure(gather(retrained)).to_json())
    trials, students = trial_records(retrained), student_records(retrained)
    for symbol, outcome in (("circle", "complete"), ("circle-open", "pruned"), ("diamond-open", "unfinished")):
        expected = {(t.cost.parameters, error_percent(t.accuracy or 0)) for t in trials if t.outcome == outcome}
        assert points(figure, symbol) == expected
    assert points(figure, "diamond") == {(s.cost.parameters, error_percent(s.test)) for s in students}
    spreads = [trace["error_y"]["array"][0] for trace in figure["data"] if "error_y" in trace]
    assert spreads == [0.0, 100 * students[1].test_deviation]


def test_every_figure_has_a_title_and_a_caption(retrained: Store) -> None:
    assert set(TITLES) == set(CAPTIONS)
    assert set(study_figures(gather(retrained))) < set(TITLES)


def test_figures_appear_when_there_is_something_to_show(empty: Store) -> None:
    assert study_figures(gather(empty)) == {}


def test_a_study_without_students_has_no_retrained_curves(searched: Store) -> None:
    assert set(study_figures(gather(searched))) == {"front", "growth", "funnel", "learning-curves", "outcomes"}


def test_bars_add_up_to_all_trials(searched: Store) -> None:
    bars = json.loads(study_figures(gather(searched))["outcomes"].to_json())["data"]
    assert sum(sum(bar["x"]) for bar in bars) == len(trial_records(searched))


def test_every_family_has_its_own_colour() -> None:
    assert set(COLOURS) == set(FAMILIES)
    assert len(set(COLOURS.values())) == len(FAMILIES)


def test_an_axis_has_three_to_ten_ticks() -> None:
    for low, high in ((0.3, 0.7), (0.3, 3.0), (0.35, 90.0), (250, 12_000), (0.005, 99)):
        ticks = log_ticks(low, high)
        assert 3 <= len(ticks) <= 10
        assert ticks == sorted(set(ticks)) and low <= ticks[0] and ticks[-1] <= high


def test_a_perfect_student_has_a_place_on_the_axis(perfect: Store) -> None:
    figure = front_figure(gather(perfect))
    ((_, error),) = points(json.loads(figure.to_json()), "diamond")
    bottom, top = (10**edge for edge in figure.layout.yaxis.range)
    assert top < error < bottom


def test_an_svg_curve_has_a_point_an_epoch(searched: Store) -> None:
    trained = [trial for trial in trial_records(searched) if trial.trained]
    assert trained
    for trial in trained:
        svg = curve_svg(trial)
        assert svg.count("<circle") == len(trial.curve)
        assert f"{100 * (trial.accuracy or 0):.2f} % validation" in svg


def test_figures_show_the_metric_that_was_searched(retrained: Store) -> None:
    report = gather(retrained)
    settings = replace(report.config.search, metric="macro_f1")
    assert report.best is not None
    scores = Scores(accuracy=0.9, balanced_accuracy=0.8, macro_f1=0.7, recalls=(None,) * 10)
    students = tuple(
        replace(student, seeds=tuple(replace(seed, test_scores=scores) for seed in student.seeds))
        for student in report.students
    )
    trials = tuple(
        replace(trial, metric="macro_f1", curve=tuple(replace(point, macro_f1=0.6) for point in trial.curve))
        for trial in report.trials
    )
    changed = replace(report, config=replace(report.config, search=settings), students=students, trials=trials)
    figure = front_figure(changed)
    assert figure.layout.yaxis.title.text == "macro F1 (%)"
    shown = json.loads(figure.to_json())
    assert {round(error, 6) for _, error in points(shown, "circle")} == {40.0}
    assert {round(error, 6) for _, error in points(shown, "diamond")} == {30.0}
    curves = study_figures(changed)["learning-curves"]
    assert curves.layout.yaxis.title.text == "validation macro F1 (%)"


def test_the_switch_moves_every_point_and_finds_the_front_of_each_cost(retrained: Store) -> None:
    report = gather(retrained)
    moved = switched(report)
    assert [*moved] == prices(report) == [name for name in PRICES if name != "latency_ms"]
    for name, parts in moved.items():
        figure = front_figure(report, over=name)
        assert parts["x"] == [list(trace.x) for trace in figure.data]
        assert parts["layout"]["xaxis"]["title"]["text"] == PRICES[name]
        cheapest = min((t for t in report.trials if t.outcome == "complete"), key=lambda t: price(t, name) or 0)
        assert price(cheapest, name) in [x for xs in parts["x"] for x in xs]


def test_latencies_are_in_the_switch_once_they_are_measured(retrained: Store) -> None:
    report = gather(retrained)
    fast = tuple(replace(trial, latency_ms=0.02 * (1 + trial.number)) for trial in report.trials)
    moved = switched(replace(report, trials=fast))
    assert [*moved] == [*PRICES]
    axis = moved["latency_ms"]["layout"]["xaxis"]
    assert axis["title"]["text"] == "latency in onnxruntime, one thread [ms]"
    assert 10 ** axis["range"][0] < 0.02 < 10 ** axis["range"][1]
    assert "0.05" in axis["ticktext"] or "0.1" in axis["ticktext"]
    shown = [x for xs in moved["latency_ms"]["x"] for x in xs]
    assert {0.02 * (1 + t.number) for t in fast if t.trained} <= set(shown)


def test_every_figure_is_drawn_as_svg_and_png(told: Store, tmp_path: Path) -> None:
    report = gather(told)
    evidence = gather_evidence(told, report.students)
    (student, *_) = report.students
    drawn = {**study_figures(report, evidence), **student_figures(report, student, evidence, report.classes)}
    assert {"front", "confusion", "calibration", "features", "curves", "outcomes"} <= set(drawn)
    for name, figure in drawn.items():
        svg, png = write_static(figure, tmp_path / name, name)
        root = ElementTree.parse(tmp_path / svg).getroot()
        assert root.tag.endswith("svg")
        with Image.open(tmp_path / png) as picture:
            assert picture.width == 1152
            assert len(picture.convert("RGB").getcolors(1_000_000) or []) > 4, name  # something is on it
    before = (tmp_path / "front.svg").read_bytes()
    write_static(drawn["front"], tmp_path / "front", "front")
    assert (tmp_path / "front.svg").read_bytes() == before


def test_a_symbol_or_a_colour_tells_classes_apart() -> None:
    names = [str(number) for number in range(24)]
    embedding = Embedding(places=torch.arange(24), positions=torch.randn(24, 2))
    figure = features_figure(embedding, torch.arange(24), names)
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == 24
