"""A table of trained students to learn from: python tests/benchmarks/table.py DATA [--students N]

Random students of `DATA` (mnist, fashion-mnist or mnist-1d) are trained through all rungs of the search's schedule:
families in turn, sizes evenly on a log scale. Student i is the same whatever the number, and students are started in
order, so a table that is not complete yet is a fair sample too.

A finished training is a line of `runs/tables/DATA.jsonl`, and a call goes on where the last one stopped, however it
ended. With `--seeds 3 --every 10` every tenth student is trained with three seeds, for the noise. `--pack` writes the
table that ships, `studies/assets/DATA.parquet`, from what is there.
"""

import ctypes
import json
import os
import random
import signal
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from grid import Row

from kd.data.augmentation import default_policy
from kd.data.dataset import DataSet, load
from kd.device import pick
from kd.distil.train import RungTask, train_rung
from kd.distil.views import ViewSource, make_view, missing, view_source
from kd.optim.recipe import Recipe
from kd.teachers.source import TeacherSource
from search.engine.dask import WORKER_ENVIRONMENT
from search.samplers.guided import GOLDEN
from space.architecture import FAMILIES, Architecture, from_json
from space.budget import Budget
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import Params, RandomTrial

STUDENTS = {"mnist": 400, "fashion-mnist": 250, "mnist-1d": 1_000}
FOLDER = Path("runs/tables")
PACKED = Path("studies/assets")
CURVE = ("epoch", "train_loss", "validation_accuracy", "validation_loss")
MOST_MACS = 3_000_000
"""Students of more take minutes an epoch on a core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the students of a data set are drawn and trained."""

    recipe: Recipe
    rungs: tuple[float, ...]
    domain: Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A draw: its place in the table, its parameters, its network."""

    index: int
    params: Params
    architecture: Architecture


def plan_of(name: str) -> Plan:
    """The plan of a data set."""
    if name == "mnist-1d":
        rungs: tuple[float, ...] = (5, 15, 45)
        domain = Domain()
    else:
        rungs, domain = (0.25, 0.5, 1, 3, 9), Domain(budget=Budget(memory_bytes=16_000))
    recipe = Recipe(batch=128, views=8, epochs=rungs[-1], augmentation=default_policy(name))
    return Plan(recipe=recipe, rungs=rungs, domain=domain)


def drawn(count: int, domain: Domain, data: DataSet) -> list[Student]:
    """The first students: sizes of a family follow the golden ratio, so that any number of them lies evenly."""
    students: list[Student] = []
    known: set[str] = set()
    for index in range(count):
        turn, family = divmod(index, len(FAMILIES))
        place = (turn * GOLDEN + family / len(FAMILIES)) % 1
        size = domain.size_at(place)
        generator = random.Random(index)
        while True:
            trial = RandomTrial(generator, {"family": FAMILIES[family], "size": size})
            architecture = suggest(trial, domain, data.shape, data.classes)
            small = domain.budget.rejection_reason(architecture) is None and architecture.cost().macs <= MOST_MACS
            if small and architecture.digest not in known:
                break
        known.add(architecture.digest)
        students.append(Student(index=index, params=trial.params, architecture=architecture))
    return students


def measure(student: Student, seed: int, plan: Plan, source: ViewSource, device: str) -> Row:
    """Train a student through all rungs; the row of the table."""
    curve, seconds, failure, state = [], 0.0, None, None
    for start, stop in pairwise((0, *plan.rungs)):
        task = RungTask(
            architecture=student.architecture,
            recipe=plan.recipe,
            seed=seed,
            start=start,
            stop=stop,
            views=source,
            device=device,
        )
        try:
            result = train_rung(task, state)
        except RuntimeError as error:  # torch's: one student must not end the table
            failure = str(error)
            break
        state, seconds, failure = result.checkpoint, seconds + result.seconds, result.failure
        curve += [(e.epoch, e.train_loss, e.validation_accuracy, e.validation_loss) for e in result.curve]
        if failure:
            break
    return {
        "index": student.index,
        "seed": seed,
        "architecture": student.architecture.to_dict(),
        "params": student.params,
        "curve": curve,
        "seconds": round(seconds, 2),
        "failure": failure,
    }


def rows(path: Path) -> list[Row]:
    """The rows of a table; half a line at its end, of a call that was killed, is cut off."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def pool(workers: int) -> ProcessPoolExecutor:
    """Single-threaded processes; unlike Dask's they wait for each other however busy the machine is."""
    os.environ.update(WORKER_ENVIRONMENT)
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: else it waits for ever where that was killed


def fill(path: Path, wanted: Sequence[tuple[Student, int]], plan: Plan, source: ViewSource, workers: Executor) -> None:
    """Append the rows that a table lacks, each as soon as it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(from_json(json.dumps(row["architecture"])).digest, row["seed"]) for row in rows(path)}
    device = pick("auto")
    left = [(student, seed) for student, seed in wanted if (student.architecture.digest, seed) not in done]
    futures = [workers.submit(measure, student, seed, plan, source, device) for student, seed in left]
    for count, future in enumerate(as_completed(futures), 1):
        row = future.result()
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{count} of {len(futures)}: {path.stem} {row['index']}, seed {row['seed']}", flush=True)


def pack(name: str) -> Path:
    """Write the table that ships: a row a training, ordered, structures as JSON and curves as lists."""
    found = sorted(rows(FOLDER / f"{name}.jsonl"), key=lambda row: (row["index"], row["seed"]))
    packed = []
    for row in found:
        columns = zip(*row.pop("curve"), strict=True)
        curve = {name: list(map(float, column)) for name, column in zip(CURVE, columns, strict=True)}
        packed.append(row | {name: json.dumps(row[name]) for name in ("architecture", "params")} | curve)
    path = PACKED / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(packed).to_parquet(path, compression="zstd", index=False)
    return path


def main(
    name: Annotated[str, typer.Argument(metavar="DATA")],
    students: Annotated[int | None, typer.Option(min=1)] = None,
    seeds: Annotated[int, typer.Option(min=1)] = 1,
    every: Annotated[int, typer.Option(min=1)] = 1,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    packed: Annotated[bool, typer.Option("--pack")] = False,
) -> None:
    if packed:
        print(pack(name))
        return
    plan, data = plan_of(name), load(name)
    source = view_source(FOLDER / "views", data, TeacherSource(models=(name,)), plan.recipe.augmentation)
    with pool(workers) as processes:
        for view in [processes.submit(make_view, *view, pick("auto")) for view in missing(source, plan.recipe)]:
            view.result()
        table = drawn(students or STUDENTS[name], plan.domain, data)[::every]
        wanted = [(student, seed) for student in table for seed in range(seeds)]
        fill(FOLDER / f"{name}.jsonl", wanted, plan, source, processes)


if __name__ == "__main__":
    typer.run(main)
