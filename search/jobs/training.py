"""Whole trainings on the engine: in segments a crash can cost one of, the test split read once at the end."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from kd.data.dataset import DataSource, load
from kd.distil.train import RungResult, RungTask, train_rung
from kd.files import write_whole
from kd.optim.checkpoint import averaged_weights
from kd.students.evaluate import evaluate
from kd.students.file import load_student, save_student
from search.candidates import Note
from search.engine.dask import Engine
from search.rungs import record_rung, state_at, state_before
from space.errors import InputError
from studies.jobs import TrainingJob
from studies.store import Store

SEGMENT = 5
"""Epochs between two saved states: what a crash can cost at most."""


def train(
    store: Store, engine: Engine, courses: Sequence[TrainingJob], device: str, note: Note, tick: Callable[[], None]
) -> None:
    """Go through courses, the first ones first, from the longest part of each that the ledger has.

    Raises:
        InputError: when a training fails; what was finished is kept.
    """
    waiting = deque(courses)
    while waiting or engine.tickets:
        while waiting and engine.free > 0:
            _submit(store, engine, waiting.popleft(), device)
        tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, TrainingJob)
            if isinstance(result, RungResult) and result.failure is None:
                last = result.curve[-1]
                record_rung(store, ticket.training, last.epoch, result)
                validation = f"validation {100 * last.validation_accuracy:.2f} %"
                measure = f"loss {last.train_loss:.4f}" if ticket.views.with_validation else validation
                note(f"{ticket.name}: epoch {last.epoch:g} of {ticket.recipe.epochs}, {measure}")
                waiting.appendleft(ticket)
            elif isinstance(result, float):
                store.ledger.record_test(ticket.training, result, str(ticket.weights))
                note(f"{ticket.name}: test {100 * result:.2f} %")
            else:
                reason = result.failure if isinstance(result, RungResult) else result
                raise InputError(f"training of {ticket.name} failed: {reason}")


def measure_test(weights: str, source: DataSource) -> float:
    """Test accuracy of a stored student, read from its file; on the CPU, so that `verify` finds the same."""
    torch.set_num_threads(1)
    data = load(source)
    return evaluate(load_student(Path(weights)).module, data.test, data, torch.device("cpu"))[0]


def _submit(store: Store, engine: Engine, course: TrainingJob, device: str) -> None:
    architecture, recipe, training = course.architecture, course.recipe, course.training
    final = state_at(store, training, recipe.epochs)
    if final is not None:
        write_whole(course.weights.parent / "architecture.json", architecture.to_json() + "\n")
        save_student(course.weights, averaged_weights(final), architecture, store.data)
        engine.submit(course, measure_test, str(course.weights.resolve()), store.config.data)
        return
    start, state = state_before(store, training, recipe.epochs)
    stop = min(recipe.epochs, math.floor(start) + SEGMENT)
    task = RungTask(
        architecture=architecture,
        recipe=recipe,
        seed=training.seed,
        start=start,
        stop=stop,
        views=course.views,
        device=device,
    )
    engine.submit(course, train_rung, task, state)
