import csv
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kd.data.dataset import DataSource
from kd.environment import Environment
from kd.teachers.source import TeacherSource
from reports.page import write_report
from search.jobs.retraining import results
from space.architecture import from_json
from studies.configuration.config import Config
from studies.front import front
from studies.records import student_records, trial_records
from studies.storage.directory import RunDirectory
from studies.store import Store, create, opened

FILES = {"index.html", "report.md", "pareto.csv", "pareto.json", "study.toml", "manifest.json"}


class Page(HTMLParser):
    """Collects what a browser would load or show."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent = tag in ("script", "style")
        given = dict(attrs)
        if tag == "a":
            self.links.append((given["href"] or "").partition("#")[0])
        else:
            self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        self.silent = False

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def parsed(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    return page


def test_shows_the_retrained_students_as_recorded(retrained: Store) -> None:
    page = parsed(write_report(retrained))
    students = student_records(retrained)
    assert "99.38 ± 0.03 % (n = 3)" in page.text
    assert "97.54 % (n = 1)" in page.text
    for student in students:
        assert f"{student.cost.parameters:,}" in page.text
        assert f"{student.cost.macs:,}" in page.text
        assert f"wunderkind retrain {retrained.directory.target} --trial {student.trial}" in page.text
        assert f"../students/{student.architecture.digest}/" in page.links
    headline = page.text[: page.text.index("trials")]
    assert f"99.38 ± 0.03 % (n = 3) on the test set with {students[-1].cost.parameters:,} parameters" in headline


def test_names_the_smallest_student_that_is_nearly_as_good(finished: Store) -> None:
    least = min(student_records(finished), key=lambda student: student.cost.parameters)
    sentence = (
        f"within a point of it on validation samples reaches 99.20 ± 0.10 % (n = 3) with {least.cost.parameters:,} ("
    )
    assert sentence in parsed(write_report(finished)).text


def test_says_plainly_that_no_smaller_student_is_nearly_as_good(lone: Store) -> None:
    assert "no smaller one retrained is within a point of it" in parsed(write_report(lone)).text


def test_needs_no_network(retrained: Store) -> None:
    page = write_report(retrained)
    assert [address for address in parsed(page).loaded if not address.startswith("data:")] == []
    style = re.findall(r"<style>.*?</style>", page.read_text(), re.DOTALL)
    assert len(style) == 1
    assert all("url(" not in sheet and "@import" not in sheet for sheet in style)
    assert page.read_text().count('<script type="application/json" id="figure-') >= 4


def test_links_lead_to_files(retrained: Store) -> None:
    page = write_report(retrained)
    links = parsed(page).links
    assert {"pareto.csv", "pareto.json", "report.md"} < set(links)
    for link in links:
        assert (page.parent / link).exists(), link


def test_accounts_for_every_trial(searched: Store) -> None:
    write_report(searched)
    table = (
        (searched.directory.report / "report.md").read_text().split("## Outcomes of the trials")[1].split("\n## ")[0]
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if "|" in line][2:]
    assert {row[0]: row[2] for row in rows} == {
        "complete": "4",
        "pruned at rung 2": "1",
        "pruned at rung 1": "1",
        "duplicate": "1",
        "rejected": "1",
        "failed": "1",
        "unfinished": "1",
    }
    meanings = {row[0]: (row[1], row[3]) for row in rows}
    assert meanings["pruned at rung 2"][0] == "weak after 3 epochs"
    assert meanings["rejected"][1] == "parameters ≥ 10,000: 1"
    assert meanings["failed"][1] == "loss is nan in epoch 2: 1"


def test_states_the_teacher_and_the_use_of_the_test_set(retrained: Store) -> None:
    text = parsed(write_report(retrained)).text
    assert "tutor.safetensors, 288,554 parameters, 99.71 % validation, 99.68 % test" in text
    assert "the test set was read once per seed" in text
    assert "All choices were made on the validation split" in text


def test_accuracy_on_samples_trained_on_is_never_shown(retrained: Store) -> None:
    fair = student_records(retrained)
    retrain = replace(retrained.config.retrain, with_validation=True)
    merged = replace(retrained, config=replace(retrained.config, retrain=retrain))
    trials = {trial.number: trial for trial in trial_records(merged)}
    page = parsed(write_report(merged))
    document = (merged.directory.report / "report.md").read_text()
    note = "Students were retrained on training and validation samples; all choices were made by the search's accuracy"
    assert note in page.text
    assert note in document
    assert "All choices were made on" not in page.text + document
    assert "retrained-curves" not in merged.directory.page.read_text()
    for student, before in zip(student_records(merged), fair, strict=True):
        assert before.validation is not None
        assert f"{100 * before.validation:.2f} %" not in document.split("## Search front")[0]
        assert student.validation is None
        assert student.trial is not None
        assert student.merit == trials[student.trial].accuracy
    points = json.loads((merged.directory.report / "pareto.json").read_text())
    assert {p["validation_accuracy"] for p in points if p["stage"] == "retrained"} == {None}
    # the largest has the best trial
    assert "99.38 ± 0.03 % (n = 3) on the test set" in page.text[: page.text.index("trials")]


def test_a_teacher_that_is_code_has_no_log(
    tmp_path: Path, small_source: DataSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("coded_tutor").mkdir()
    Path("coded_tutor/module.py").write_text(
        "from torch import nn\n\n\ndef callable():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))"
    )
    Path("coded_tutor.json").write_text('{"parameters": 7}')
    directory = RunDirectory(root=tmp_path / "runs", name="tiny")
    create(directory, Config(data=small_source, teacher=TeacherSource(models=("coded_tutor.module:callable",))))
    with opened(directory) as store:
        text = parsed(write_report(store)).text
    assert "teacher coded_tutor.module:callable families" in text


@pytest.mark.parametrize("written", [None, b"", b"[1, 2]", b'{"parameters": {"a": 1}}'], ids=str)
def test_a_teacher_without_a_log_is_named(searched: Store, written: bytes | None) -> None:
    log = Path(searched.config.teacher.models[0]).with_suffix(".json")
    log.unlink() if written is None else log.write_bytes(written)
    assert "tutor.safetensors families" in parsed(write_report(searched)).text


def test_accuracies_of_a_teacher_of_another_split_are_not_shown(searched: Store) -> None:
    log = Path(searched.config.teacher.models[0]).with_suffix(".json")
    log.write_text(json.dumps(json.loads(log.read_text()) | {"data": "0" * 16}))
    text = parsed(write_report(searched)).text
    assert "tutor.safetensors, 288,554 parameters, trained on other data or another split, so it may have seen" in text
    assert "99.68 %" not in text


def test_states_where_students_were_retrained(retrained: Store) -> None:
    machines = ("cpu", "NVIDIA H100")
    for student, device in zip(student_records(retrained), machines, strict=True):
        environment = Environment(
            wunderkind="0.1.0", torch="2.14.1", python="3.11.7", platform="Linux", device=device, threads=1
        )
        found = replace(results(student, retrained.data, "cpu"), environment=environment)
        (retrained.directory.student(student.architecture.digest) / "results.json").write_text(found.to_json())
    text = parsed(write_report(retrained)).text.split("Reproduce")[-1]
    document = (retrained.directory.report / "report.md").read_text().split("## Configuration")[1]
    for device in machines:
        expected = f"wunderkind 0.1.0, torch 2.14.1, Python 3.11.7, Linux, {device}, 1 thread"
        assert expected in text
        assert f"- Retrained with: {expected}\n" in document


def test_states_the_sizes_of_the_splits(empty: Store) -> None:
    stated = "mnist: 55,000 training, 5,000 validation, 10,000 test samples, split seed 0"
    assert stated in parsed(write_report(empty)).text
    document = (empty.directory.report / "report.md").read_text()
    assert f"- Data: {stated}" in document
    assert "rungs after 1, 3, 9 epochs" in document


def test_fronts_as_data_equal_the_records(retrained: Store) -> None:
    write_report(retrained)
    points = json.loads((retrained.directory.report / "pareto.json").read_text())
    with (retrained.directory.report / "pareto.csv").open() as file:
        lines = list(csv.DictReader(file))
    records = front(trial_records(retrained), 0)
    students = {student.architecture.digest: student for student in student_records(retrained)}
    assert [line["stage"] for line in lines] == [point["stage"] for point in points]
    assert [point["trial"] for point in points if point["stage"] == "search"] == [r.number for r in records]
    for point, line in zip(points, lines, strict=True):
        architecture = from_json(json.dumps(point["architecture"]))
        assert architecture.digest == point["digest"] == line["digest"]
        assert int(line["parameters"]) == point["cost"]["parameters"] == architecture.cost().parameters
        assert line["trial"] == str(point["trial"])
        if point["stage"] == "retrained":
            student = students.pop(point["digest"])
            assert point["test_accuracy"] == float(line["test_accuracy"]) == student.test
            assert point["seeds"] == len(student.seeds)
        else:
            assert point["test_accuracy"] is None and line["test_accuracy"] == ""
    assert not students


@pytest.mark.parametrize("state", ["empty", "searched"])
def test_works_in_the_middle_of_a_study(state: str, request: pytest.FixtureRequest) -> None:
    store: Store = request.getfixturevalue(state)
    text = parsed(write_report(store)).text
    assert "No student is retrained yet" in text
    assert {path.name for path in store.directory.report.iterdir()} - {"figures"} == FILES


def test_works_before_any_trial_is_complete(started: Store) -> None:
    text = parsed(write_report(started)).text
    assert "No trial is complete yet: 2 trials so far, 1 of them trained." in text


def test_leaves_the_old_report_when_it_cannot_write(retrained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_report(retrained)
    before = page.read_bytes()

    def full(*_: object, **__: object) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(retrained)
    assert page.read_bytes() == before
