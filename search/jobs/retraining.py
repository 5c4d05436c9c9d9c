"""Retraining: students of the front, full recipe, several seeds, the test split read once at the end of each."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from kd.environment import current
from kd.files import write_whole
from kd.students.onnx import export_onnx
from kd.students.results import SeedResult, StudentResults
from search.candidates import Note
from search.engine.dask import Engine
from search.jobs.training import train
from space.architecture import Architecture
from space.errors import InputError
from studies.front import unfinished
from studies.records import StudentRecord, student_records
from studies.store import Store


def retrain(
    store: Store,
    engine: Engine,
    students: Sequence[Architecture],
    seeds: int,
    device: str,
    note: Note,
    tick: Callable[[], None],
) -> None:
    """Retrain students with seeds 0..seeds-1 as far as the ledger does not have them, then write their folders."""
    left = unfinished(students, seeds, student_records(store))
    left.sort(key=lambda one: -one.architecture.cost().macs)  # the longest first
    train(store, engine, [store.retraining_job(one.architecture, one.seed) for one in left], device, note, tick)
    asked = {architecture.digest for architecture in students}
    for record in student_records(store):
        if record.architecture.digest in asked:
            write_student(store, record, device)


def write_student(store: Store, student: StudentRecord, device: str) -> None:
    """Write `student.onnx` and `results.json`, unless those there tell the same.

    Exported is the seed best on validation, the first where validation samples were trained on.
    """
    folder = store.directory.student(student.architecture.digest)
    path, export, told = folder / "results.json", folder / "student.onnx", results(student, device)
    if export.is_file() and path.is_file() and _tells_the_same(path, told):
        return
    best = max(student.seeds, key=lambda seed: (seed.validation or 0, -seed.seed))
    export_onnx(folder / f"seed-{best.seed}.safetensors", export, store.data.test.images[:64])
    write_whole(path, told.to_json())  # last, so that it never tells of seeds that the export was not chosen from


def results(student: StudentRecord, device: str) -> StudentResults:
    """A retrained student's numbers, for `results.json`; validation is None where its samples were trained on."""
    return StudentResults(
        architecture=student.architecture.to_dict(),
        digest=student.architecture.digest,
        family=student.architecture.family,
        cost=asdict(student.cost),
        seeds=tuple(
            SeedResult(seed=s.seed, validation=s.validation, test=s.test, seconds=round(s.seconds, 1))
            for s in student.seeds
        ),
        test_mean=student.test,
        test_deviation=student.test_deviation if len(student.seeds) > 1 else None,
        environment=current(device),
    )


def _tells_the_same(path: Path, told: StudentResults) -> bool:
    try:
        return StudentResults.from_json(path).same_figures(told)
    except InputError:  # damaged: written anew
        return False
