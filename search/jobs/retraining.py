"""Retraining: students of the front, full recipe, several seeds, the test split read once at the end of each."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from kd.data.dataset import DataSet
from kd.deploy.export import export_forms
from kd.deploy.onnx import export_onnx
from kd.deploy.places import ONNX, int8_path
from kd.environment import current
from kd.files import is_sound, write_manifest, write_whole
from kd.students.results import SeedResult, StudentResults
from reports.facts.boards import judge
from reports.facts.formats import counted
from search.estimate import jobs_seconds
from search.jobs.analysis import analyse
from search.jobs.quantising import quantise
from search.jobs.telling import tell_student
from search.jobs.training import train
from search.session import Session
from space.architecture import Architecture
from space.errors import InputError
from studies.front import retraining_jobs
from studies.records import StudentRecord, student_records
from studies.store import Store


def retrain(session: Session, students: Sequence[Architecture], seeds: int) -> None:
    """Retrain students with seeds 0..seeds-1 as far as the ledger does not have them, then write their folders."""
    if not students:
        return
    store, jobs = session.store, retraining_jobs(session.store, students, seeds)
    session.progress.phase(
        f"retraining {counted(len(students), 'student')}, {counted(seeds, 'seed')} each",
        partial(jobs_seconds, session, jobs),
    )
    train(session, jobs)
    if store.config.retrain.int8:
        session.progress.phase(f"quantising {counted(len(students), 'student')}")
        quantise(session, [store.retraining_job(student, seed) for student in students for seed in range(seeds)])
    session.progress.phase(f"exporting {counted(len(students), 'student')}")
    for architecture in students:
        write_architecture(store.directory.student(architecture.digest), architecture)
    digests = {architecture.digest for architecture in students}
    records = [record for record in student_records(store) if record.architecture.digest in digests]
    for record in records:
        write_student(store, record, session.device)
    analyse(session, records)
    if (board := store.config.board) is not None:
        for architecture in students:
            session.progress.note(f"{architecture.digest} on {judge(architecture, board).in_words}")


def write_student(store: Store, student: StudentRecord, device: str) -> None:
    """Write `student.onnx`, other forms, `results.json` and what tells of them, unless those have the same figures.

    Exported is the seed best on validation, the first where validation samples were trained on.
    """
    folder = store.directory.student(student.architecture.digest)
    path, export, found = folder / "results.json", folder / ONNX, results(student, store.data, device)
    if is_sound(folder) and _has_figures(path, found):
        return
    weights, data = folder / f"seed-{student.exported.seed}.safetensors", store.data
    export_onnx(weights, export, data.test.images[:64])
    forms = export_forms(weights, folder, store.config.export.formats, data.train.images, data.test.images)
    write_whole(path, found.to_json())  # after it, so that it names no seeds that the export was not chosen from
    twins = [int8_path(folder / f"seed-{s.seed}.safetensors").name for s in student.seeds if s.int8 is not None]
    pages = tell_student(folder, data, store.config)
    write_manifest(folder, (path.name, export.name, "architecture.json", *forms, *twins, *pages))


def write_architecture(folder: Path, architecture: Architecture) -> None:
    """Write a student's `architecture.json`, unless the one there says the same."""
    path, content = folder / "architecture.json", (architecture.to_json() + "\n").encode()
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, content)


def results(student: StudentRecord, data: DataSet, device: str) -> StudentResults:
    """A retrained student's numbers, for `results.json`; validation is None where its samples were trained on."""
    return StudentResults(
        architecture=student.architecture.to_dict(),
        digest=student.architecture.digest,
        family=student.architecture.family,
        cost=asdict(student.cost),
        seeds=tuple(
            SeedResult(
                seed=s.seed,
                validation=s.validation,
                test=s.test,
                seconds=round(s.seconds, 1),
                test_scores=s.test_scores,
                int8_test=None if s.int8 is None else s.int8.test.accuracy,
                int8_passes=None if s.int8 is None else s.int8.tuned,
            )
            for s in student.seeds
        ),
        test_mean=student.test,
        test_deviation=student.test_deviation if len(student.seeds) > 1 else None,
        environment=current(device),
        classes=data.names,
        test_majority=data.test.majority,
        int8_mean=student.int8,
        int8_deviation=student.int8_deviation,
    )


def _has_figures(path: Path, results: StudentResults) -> bool:
    try:
        return StudentResults.from_json(path).same_figures(results)
    except InputError:  # damaged: written anew
        return False
