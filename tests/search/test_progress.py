"""The live display, drawn into text."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from kd.data.dataset import DataSet
from kd.distil.train import RungResult, RungTask
from kd.students.curve import Epoch
from kd.teachers.source import TeacherSource
from search.driver import search
from search.engine.fake import FakeEngine
from search.progress import Progress
from search.session import Session
from studies.configuration.config import Config, Search, Space
from studies.storage.directory import RunDirectory
from studies.store import create, opened


def simulate(task: RungTask, checkpoint: bytes | None) -> RungResult:
    """Accuracy that grows with parameters and epochs; ten seconds an epoch."""
    size = task.architecture.cost().parameters
    points = tuple(
        Epoch(
            epoch=epoch,
            train_loss=1.0,
            validation_accuracy=0.9 + 0.05 * min(1.0, size / 9_000) + 0.01 * epoch / 3,
            validation_loss=0.1,
            seconds=10.0,
        )
        for epoch in range(int(task.start) + 1, int(task.stop) + 1)
    )
    return RungResult(curve=points, checkpoint=b"state", seconds=10.0 * len(points))


@pytest.fixture
def frames(small_data: DataSet, teacher_path: Path, tmp_path: Path) -> list[str]:
    """What the display showed at every tick of a search by two workers."""
    directory = RunDirectory(root=tmp_path, name="shown")
    config = Config(
        teacher=TeacherSource(models=(str(teacher_path),)),
        space=Space(families=("mlp",)),
        search=Search(trials=6, rungs=(1, 3), startup=2, peers=99, floor=0),
    )
    create(directory, config)
    engine, drawn = FakeEngine(simulate, 2), []

    class Watched(Progress):
        def tick(self) -> None:
            console = Console(file=io.StringIO(), width=120)
            console.print(self._draw())
            assert isinstance(console.file, io.StringIO)
            drawn.append(console.file.getvalue())

    with opened(directory, small_data) as store:
        progress = Watched(Console(file=io.StringIO()), store, engine, engine.clock)
        search(Session(store=store, engine=engine, device="cpu", progress=progress, started=0.0, clock=engine.clock))
    return drawn


def test_rungs_in_flight_have_bars_and_the_front_a_chart(frames: list[str]) -> None:
    first, later = frames[0], frames[-1]
    assert "trial 0" in first and "to epoch 1 of 3" in first
    assert "●" not in first
    assert "●" in later and "parameters" in later and "│" in later
    assert any("━" in frame for frame in frames)
    assert all(len(line) <= 120 for frame in frames for line in frame.splitlines())
