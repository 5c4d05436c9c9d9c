"""What the driver costs: its own time (CPU) a trained trial, by how many there are, and seconds to resume.

The real driver, SQLite database, samplers and display, with an engine that trains nothing. Usage:

    python tests/benchmarks/driver.py [--samplers random evolution tpe] [--trials 2000] [--workers 1]
"""

import argparse
import math
import os
import random
import tempfile
import time
import warnings
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kd.data.dataset import load
from kd.distil.train import RungResult, RungTask
from kd.students.curve import Epoch
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource
from reports.summary import status
from search.driver import search
from search.engine.fake import FakeEngine
from search.progress import Progress
from search.session import Session
from studies.configuration.config import Config, Search
from studies.history import History
from studies.storage.directory import RunDirectory
from studies.store import create, opened

BOUNDS = (25, 100, 500, 1_000, 2_000, 4_000, 5_000, 10_000)
RUNGS = (1.0, 3.0, 9.0)
CHECKPOINT = bytes(100_000)
"""As large as a training state of a student with 10,000 parameters."""


class Simulation:
    """Rungs that take no time; notes when the first rungs of new trials arrive."""

    def __init__(self) -> None:
        """Start the clock."""
        self.moments = [time.process_time()]

    def __call__(self, task: RungTask, checkpoint: bytes | None) -> RungResult:
        """A curve that rises with epochs and parameters, with luck of its own."""
        if task.start == 0:
            self.moments.append(time.process_time())
        size = math.sqrt(task.architecture.cost().parameters)
        curve = []
        for epoch in range(int(task.start) + 1, int(task.stop) + 1):
            luck = random.Random(f"{task.architecture.digest} {epoch}").uniform(0.2, 1)
            accuracy = 1 - luck * (1 / (1 + epoch) + 10 / size) / 2
            curve.append(
                Epoch(
                    epoch=float(epoch),
                    train_loss=1.0,
                    validation_accuracy=accuracy,
                    validation_loss=1 - accuracy,
                    seconds=0.1,
                )
            )
        return RungResult(curve=tuple(curve), checkpoint=CHECKPOINT, seconds=0.1)


def measure(folder: Path, sampler: str, trials: int, workers: int) -> list[str]:
    """Run a study; milliseconds a trained trial between the bounds, then seconds to resume and of `status`."""
    teacher = TeacherSource(models=(str(teachers.shipped("mnist")),))
    settings = Search(trials=trials, rungs=RUNGS, startup=20, floor=0.5, sampler=sampler)  # type: ignore[arg-type]
    config, directory = Config(teacher=teacher, search=settings), RunDirectory(root=folder, name=sampler)
    data, simulation = load(config.data), Simulation()
    create(directory, config)
    engine = FakeEngine(simulation, workers)
    with open(os.devnull, "w") as nowhere, opened(directory, data) as store:
        console = Console(file=nowhere, force_terminal=True, width=160)
        with Progress(console, store, engine) as progress:
            search(Session(store=store, engine=engine, device="cpu", progress=progress, started=time.monotonic()))
    row = [sampler]
    for low, high in zip((0, *BOUNDS), BOUNDS, strict=False):
        if high <= trials:
            end = simulation.moments[min(high, len(simulation.moments) - 1)]
            row.append(f"{1_000 * (end - simulation.moments[low]) / (high - low):.0f}")
        else:
            row.append("")
    began = time.process_time()
    with opened(directory, data) as store:
        History(store)
        row.append(f"{time.process_time() - began:.1f}")
        began = time.process_time()
        status(store)
        row.append(f"{time.process_time() - began:.1f}")
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samplers", nargs="+", default=["random", "evolution", "tpe"])
    parser.add_argument("--trials", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    columns = [f"{low:,}-{high:,}" for low, high in zip((0, *BOUNDS), BOUNDS, strict=False)]
    table = Table("sampler", *columns, "resume [s]", "status [s]", title="driver [ms a trained trial]")
    with tempfile.TemporaryDirectory() as folder:
        for sampler in asked.samplers:
            table.add_row(*measure(Path(folder), sampler, asked.trials, asked.workers))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
