"""Training on a GPU through the real engine: python tests/benchmarks/gpu.py [--seconds 240] [--workers 1 4 8 15]

Prints three tables, all of MNIST, batch 128, KL, Muon, averaging:

- single students: images/s of the bare step, launched kernel by kernel and replayed as a graph, seconds to record it,
  and how far a whole rung (start, training, evaluation) gets of that rate;
- students drawn at random in 1, 4, 8 and 15 workers, with and without MPS: images/s in all of whole tasks, and of
  training and evaluation alone;
- seconds from handing out a rung of one step to its result, the first of a worker and later ones.

What does not fit into the seconds is left out and said. `--device cpu` tries the script itself.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from kd.data.dataset import DataSet, DataSource, load
from kd.distil.recording import Recording
from kd.distil.resident import memory_of, resident_view
from kd.distil.step import in_batches
from kd.distil.train import RungTask, train_rung
from kd.distil.trainer import new_trainer
from kd.distil.views import ViewSource, make_view, view_source
from kd.optim.recipe import Recipe
from kd.teachers.source import TeacherSource
from search.engine.dask import DaskEngine
from search.run import Machine
from space.architecture import FAMILIES, Architecture
from space.budget import Budget
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial
from studies import shipped

RECIPE = Recipe(views=1, batch=128)
SINGLE = ("tied-depthwise-10k", "tied-hybrid", "wide-stem-cnn", "row-column", "liquid-cnn", "tied-depthwise-1k")
STEPS = 300
MACS = 6_000_000


def drawn(count: int, data: DataSet) -> list[Architecture]:
    """Random students under 6 M MACs, families in turn."""
    generator, budget, found = random.Random(0), Budget(macs=MACS), list[Architecture]()
    while len(found) < count:
        domain = Domain(families=(FAMILIES[len(found) % len(FAMILIES)],))
        architecture = suggest(RandomTrial(generator), domain, data.shape, data.classes)
        if budget.rejection_reason(architecture) is None:
            found.append(architecture)
    return found


def step_rates(student: Architecture, data: DataSet, views: ViewSource, device: torch.device) -> list[str]:
    """Images a second of steps called and replayed, seconds to make the trainer, and why if nothing is replayed."""
    view = resident_view(views, 0, device, memory_of(device))
    began = time.perf_counter()
    trainer = new_trainer(student, RECIPE, 0, data, view, device)
    ready, batches = time.perf_counter() - began, in_batches(view, RECIPE.batch)
    count = min(STEPS if device.type == "cuda" else 5, len(batches.labels))
    order, numbers = torch.arange(count), trainer.step.numbers([1.0] * count, 0)
    rates = []
    for replayed in (False, True):
        steps = trainer.steps if replayed else Recording(trainer.step, batches, numbers.shape[1], record=False)
        float(steps(batches, order[:3], numbers[:3]))
        began = time.perf_counter()
        float(steps(batches, order, numbers))
        rates.append(count * RECIPE.batch / (time.perf_counter() - began))
    return [*(f"{rate:,.0f}" for rate in rates), f"{ready:.2f}", trainer.reason or ""]


def rung(student: Architecture, views: ViewSource, device: str, epochs: float) -> RungTask:
    """A rung of a student from its first weights."""
    return RungTask(architecture=student, recipe=RECIPE, seed=0, start=0, stop=epochs, views=views, device=device)


def together(engine: DaskEngine, tasks: list[RungTask]) -> tuple[float, float]:
    """Seconds that rungs take in all, and those of the tasks themselves, one after the other."""
    began, busy = time.perf_counter(), 0.0
    for number, task in enumerate(tasks):
        engine.submit(number, train_rung, task)
    while engine.tickets:
        for _, result in engine.finished(1.0):
            if isinstance(result, Exception):
                raise result
            busy += sum(point.seconds for point in result.curve)
    return time.perf_counter() - began, busy


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 8, 15])
    asked = parser.parse_args()
    deadline, console = time.monotonic() + asked.seconds, Console(width=160)
    device = torch.device(asked.device)
    data = load(DataSource()) if device.type == "cuda" else load(DataSource()).first(2_000)
    samples = len(data.train.labels)
    with tempfile.TemporaryDirectory() as folder:
        views = view_source(Path(folder), data, TeacherSource(), RECIPE.augmentation)
        began = time.perf_counter()
        make_view(views, 0, asked.device, data)
        console.print(f"a view: {samples / (time.perf_counter() - began):,.0f} images/s")
        table = Table("student", "called, images/s", "replayed, images/s", "ready [s]", "whole rung, images/s", "")
        for name in SINGLE:
            *rates, reason = step_rates(shipped.find(name), data, views, device)
            train_rung(rung(shipped.find(name), views, asked.device, 1), data=data)
            seconds = train_rung(rung(shipped.find(name), views, asked.device, 1), data=data).seconds
            table.add_row(name, *rates, f"{samples / seconds:,.0f}", reason)
        console.print(table)
        table = Table("workers", "MPS", "rungs, images/s", "trained, images/s", "first task [s]", "later [s]", "rungs")
        for mps in (True, False):
            for workers in asked.workers:
                if time.monotonic() > deadline:
                    console.print(f"no time left for {workers} workers, MPS {mps}")
                    continue
                table.add_row(str(workers), "on" if mps else "off", *measured(views, data, asked.device, workers, mps))
        console.print(table)


def measured(views: ViewSource, data: DataSet, device: str, workers: int, mps: bool) -> list[str]:
    """A row of the table of workers."""
    students, samples = drawn(2 * workers, data), len(data.train.labels)
    with Machine(workers=workers, device=device, mps=mps).start(print) as engine:
        tiny = [rung(student, views, device, 1e-6) for student in students[:workers]]
        first, _ = together(engine, tiny)
        later = statistics.median(together(engine, tiny)[0] for _ in range(3))
        tasks = [rung(student, views, device, 1) for student in students]
        seconds, busy = together(engine, tasks)
        images = samples * len(tasks)
        return [
            f"{images / seconds:,.0f}",
            f"{images * workers / busy:,.0f}",
            f"{first:.1f}",
            f"{later:.2f}",
            str(len(tasks)),
        ]


if __name__ == "__main__":
    main()
