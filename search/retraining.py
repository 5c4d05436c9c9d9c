"""Retraining: students of the front, full recipe, several seeds, the test split read once at the end of each."""

import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from kd.checkpoint import averaged_weights
from kd.data import DataSource, load
from kd.export import export_onnx
from kd.files import write_whole
from kd.student_file import load_student, save_student
from kd.train import RungResult, evaluate, train_rung
from search.candidates import Note
from search.engine import Engine
from search.rungs import record_rung, state_at, state_before
from space.architecture import Architecture
from space.errors import InputError
from studies.records import Retraining, StudentRecord, student_records, unfinished
from studies.store import Store

SEGMENT = 5
"""Epochs between two saved states of a retraining: what a crash can cost at most."""


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
    waiting = deque(sorted(left, key=lambda r: -r.architecture.cost().macs))  # the longest first
    while waiting or engine.tickets:
        while waiting and engine.free > 0:
            _submit(store, engine, waiting.popleft(), device)
        tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, Retraining)
            if isinstance(result, RungResult) and result.failure is None:
                _record(store, ticket, result, note)
                waiting.appendleft(ticket)
            elif isinstance(result, float):
                _finish(store, ticket, result, note)
            else:
                reason = result.failure if isinstance(result, RungResult) else result
                raise InputError(f"retraining {ticket.architecture.digest} with seed {ticket.seed} failed: {reason}")
    asked = {architecture.digest for architecture in students}
    for record in student_records(store):
        if record.architecture.digest in asked:
            write_student(store, record)


def weights_path(store: Store, retraining: Retraining) -> Path:
    """File of a retrained student's weights."""
    return store.directory.student(retraining.architecture.digest) / f"seed-{retraining.seed}.safetensors"


def measure_test(weights: str, source: DataSource) -> float:
    """Test accuracy of a stored student, read from its file; on the CPU, so that `verify` finds the same."""
    torch.set_num_threads(1)
    data = load(source)
    return evaluate(load_student(Path(weights)).module, data.test, data, torch.device("cpu"))[0]


def _submit(store: Store, engine: Engine, retraining: Retraining, device: str) -> None:
    recipe = store.config.retrain.recipe
    training = store.training(retraining.architecture.digest, retraining.seed)
    final = state_at(store, training, recipe.epochs)
    if final is not None:
        path = weights_path(store, retraining)
        write_whole(path.parent / "architecture.json", retraining.architecture.to_json() + "\n")
        save_student(path, averaged_weights(final), retraining.architecture, store.data)
        engine.submit(retraining, measure_test, str(path.resolve()), store.config.data)
        return
    start, state = state_before(store, training, recipe.epochs)
    stop = min(recipe.epochs, math.floor(start) + SEGMENT)
    engine.submit(
        retraining,
        train_rung,
        retraining.architecture,
        recipe,
        retraining.seed,
        start,
        stop,
        state,
        store.retrain_views,
        device,
    )


def _record(store: Store, retraining: Retraining, result: RungResult, note: Note) -> None:
    last = result.curve[-1]
    record_rung(store, store.training(retraining.architecture.digest, retraining.seed), last.epoch, result)
    merged = store.config.retrain.with_validation
    note(
        f"retraining {retraining.architecture.digest} seed {retraining.seed}: epoch {last.epoch:g} of "
        f"{store.config.retrain.recipe.epochs}, "
        + (f"loss {last.train_loss:.4f}" if merged else f"validation {100 * last.validation_accuracy:.2f} %")
    )


def _finish(store: Store, retraining: Retraining, accuracy: float, note: Note) -> None:
    path = weights_path(store, retraining)
    store.ledger.record_test(store.training(retraining.architecture.digest, retraining.seed), accuracy, str(path))
    note(f"retrained {retraining.architecture.digest} seed {retraining.seed}: test {100 * accuracy:.2f} %")


def write_student(store: Store, student: StudentRecord) -> None:
    """Write `student.onnx` and `results.json`, unless those there tell the same.

    Exported is the seed best on validation, the first where validation samples were trained on.
    """
    folder = store.directory.student(student.architecture.digest)
    path, export, told = folder / "results.json", folder / "student.onnx", json.dumps(results(student), indent=2) + "\n"
    if export.is_file() and path.is_file() and path.read_bytes() == told.encode():
        return
    best = max(student.seeds, key=lambda seed: (seed.validation or 0, -seed.seed))
    export_onnx(folder / f"seed-{best.seed}.safetensors", export, store.data.test.images[:64])
    write_whole(path, told)  # last, so that it never tells of seeds that the export was not chosen from


def results(student: StudentRecord) -> dict[str, object]:
    """A retrained student's numbers, for `results.json`; validation is null where its samples were trained on."""
    return {
        "architecture": student.architecture.to_dict(),
        "digest": student.architecture.digest,
        "family": student.architecture.family,
        "cost": asdict(student.cost),
        "seeds": [
            {"seed": s.seed, "validation": s.validation, "test": s.test, "seconds": round(s.seconds, 1)}
            for s in student.seeds
        ],
        "test_mean": student.test,
        "test_deviation": student.test_deviation if len(student.seeds) > 1 else None,
    }
