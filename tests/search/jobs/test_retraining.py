"""Retraining without a search, in this process: the real tasks on an engine whose time is that of the tasks."""

import io
import re
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kd.data.augmentation import NO_AUGMENTATION
from kd.data.dataset import DataSet, DataSource
from kd.deploy.int8_student import Int8Task, quantise_student
from kd.distil.train import RungResult, RungTask, train_rung
from kd.distil.views import ViewSource, make_view
from kd.optim.recipe import Recipe
from kd.students.results import StudentResults
from kd.teachers.source import TeacherSource
from reports.facts.formats import mean_test
from search.engine.fake import FakeEngine
from search.jobs.preparation import prepare
from search.jobs.retraining import retrain
from search.jobs.training import measure_test
from search.progress import Progress
from search.session import Session
from space.architecture import Architecture
from space.blocks.convolution import Pool
from space.blocks.mlp import Dense
from studies.configuration.config import Config, Retrain
from studies.records import StudentRecord, student_records
from studies.storage.directory import RunDirectory
from studies.store import create, opened

EPOCHS = 12
STUDENT = Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=(Pool(), Dense(width=6)))


class Killed(BaseException):
    """Raised where a driver is killed."""


def task(*arguments: Any) -> Any:
    """Do what an engine is asked to do; a rung takes a second an epoch."""
    if isinstance(arguments[0], ViewSource):
        return make_view(*arguments)
    if isinstance(arguments[0], str):
        return measure_test(*arguments)
    if isinstance(arguments[0], Int8Task):
        return quantise_student(*arguments)
    result = train_rung(*arguments)
    return replace(result, seconds=float(len(result.curve)))


Retraining = Callable[..., tuple[list[str], StudentRecord | None]]


@pytest.fixture
def retraining(small_source: DataSource, small_data: DataSet, teacher_path: Path, tmp_path: Path) -> Retraining:
    """Retrain with two seeds: headlines at every tick, and the student if it is finished."""
    recipe = Recipe(epochs=EPOCHS, views=1, batch=100, warmup=0.5, augmentation=NO_AUGMENTATION)
    config = Config(
        data=small_source,
        teacher=TeacherSource(models=(str(teacher_path),)),
        recipe=recipe,
        retrain=Retrain(seeds=2, recipe=recipe),
    )

    def function(name: str, simulate: Callable[..., Any] = task) -> tuple[list[str], StudentRecord | None]:
        directory = RunDirectory(root=tmp_path, name=name)
        create(directory, config)
        engine, headlines = FakeEngine(simulate), []

        class Watched(Progress):
            def tick(self) -> None:
                headlines.append(self.headline([]))

        with opened(directory, small_data) as store:
            progress = Watched(Console(file=io.StringIO()), store, engine, engine.clock)
            session = Session(
                store=store, engine=engine, device="cpu", progress=progress, started=0.0, clock=engine.clock
            )
            prepare(session, searches=False)
            try:
                retrain(session, [STUDENT], 2)
            except Killed:
                return headlines, None
            (student,) = student_records(store)
        return headlines, student

    return function


def test_the_time_left_falls_and_the_speed_counts_retraining(retraining: Retraining) -> None:
    headlines, student = retraining("mine")
    assert student is not None
    assert "time left unknown" in headlines[0]
    # nothing is known before a segment of five epochs is done; the second seed then is as slow as the first
    left = [int(s) + 60 * int(m) for m, s in re.findall(r"about 0:(\d\d):(\d\d) left", "\n".join(headlines))]
    assert sorted(set(left), reverse=True) == [19, 14, 12, 7, 2, 0]
    assert left == sorted(left, reverse=True)
    assert "1.00 epochs/s" in headlines[-1]


def test_a_lost_checkpoint_doubles_no_part_of_a_curve(retraining: Retraining, tmp_path: Path) -> None:
    _, calm = retraining("calm")
    trained: list[tuple[float, float]] = []

    def dying(*arguments: Any) -> Any:
        if isinstance(arguments[0], RungTask) and len(trained) == 2:
            raise Killed
        result = task(*arguments)
        if isinstance(result, RungResult):
            trained.append((result.curve[0].epoch, result.curve[-1].epoch))
        return result

    _, nothing = retraining("lost", dying)
    assert nothing is None
    assert trained == [(1, 5), (6, 10)]
    for path in (tmp_path / "lost" / "checkpoints").glob("*-10.safetensors"):
        path.unlink()
    _, found = retraining("lost")
    assert calm is not None
    assert found is not None
    for mine, undisturbed in zip(found.seeds, calm.seeds, strict=True):
        assert [epoch.epoch for epoch in mine.curve] == list(range(1, EPOCHS + 1))
        assert [replace(e, seconds=0) for e in mine.curve] == [replace(e, seconds=0) for e in undisturbed.curve]
        assert (mine.test, mine.seconds) == (undisturbed.test, undisturbed.seconds) == (mine.test, EPOCHS)


def test_quantisation_goes_on_after_a_kill_and_its_figures_are_told(retraining: Retraining, tmp_path: Path) -> None:
    quantised: list[str] = []

    def dying(*arguments: Any) -> Any:
        if isinstance(arguments[0], Int8Task):
            if quantised:
                raise Killed
            quantised.append(arguments[0].target.name)
        return task(*arguments)

    _, nothing = retraining("killed", dying)
    assert nothing is None

    def counting(*arguments: Any) -> Any:
        if isinstance(arguments[0], Int8Task):
            quantised.append(arguments[0].target.name)
        return task(*arguments)

    _, student = retraining("killed", counting)
    assert sorted(quantised) == ["int8-0.safetensors", "int8-1.safetensors"]
    assert student is not None
    assert len(student.int8_tests) == 2
    assert "; int8 " in mean_test(student)
    folder = tmp_path / "killed" / "students" / STUDENT.digest
    results = StudentResults.from_json(folder / "results.json")
    assert results.int8_mean == statistics.fmean(seed.int8_test or 0 for seed in results.seeds)
    assert results.int8_deviation == statistics.stdev(seed.int8_test or 0 for seed in results.seeds)
    assert abs(results.int8_mean - results.test_mean) <= 0.02
    assert {path.name for path in folder.iterdir()} >= {"c", "c-int8"}
    for seed in student.seeds:
        assert seed.int8 is not None
        assert seed.validation is not None
        assert abs(seed.int8.validation - seed.validation) <= 0.02
