"""Whole trainings on the engine: in segments a crash can cost one of, the test split read once at the end."""

import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import torch

from kd.data.dataset import DataSource, load
from kd.distil.train import RungResult, RungTask, train_rung
from kd.files import write_whole
from kd.optim.checkpoint import averaged_weights
from kd.students.evaluate import evaluate
from kd.students.file import load_student, save_student
from kd.students.scores import Scores
from search.rungs import next_stretch, record_rung, state_at
from search.session import Session
from space.errors import InputError
from studies.jobs import TrainingJob

SEGMENT = 5
"""Epochs between two saved states: what a crash can cost at most."""


def train(session: Session, jobs: Sequence[TrainingJob]) -> None:
    """Do training jobs, the first ones first, each from the longest part of it that the ledger has.

    Raises:
        InputError: when a training fails; what was finished is kept.
    """
    store, engine, progress = session.store, session.engine, session.progress
    waiting = deque(jobs)
    while waiting or engine.tickets:
        while waiting and engine.free > 0:
            _submit(session, waiting.popleft())
        progress.tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, TrainingJob)
            if isinstance(result, RungResult) and result.failure is None:
                last = result.curve[-1]
                record_rung(store, ticket.training, last.epoch, result)
                validation = f"validation {100 * last.validation_accuracy:.2f} %"
                measure = f"loss {last.train_loss:.4f}" if ticket.views.with_validation else validation
                progress.note(f"{ticket.name}: epoch {last.epoch:g} of {ticket.recipe.epochs}, {measure}")
                if result.unrecorded:
                    progress.note(f"{ticket.name}: its steps are not recorded ({result.unrecorded}), and slow")
                waiting.appendleft(ticket)
            elif isinstance(result, Scores):
                store.ledger.record_test(ticket.training, result.accuracy, result)
                progress.note(f"{ticket.name}: test {100 * result.accuracy:.2f} %")
            else:
                reason = result.failure if isinstance(result, RungResult) else result
                raise InputError(f"training of {ticket.name} failed: {reason}")


def measure_test(weights: str, source: DataSource) -> Scores:
    """Test scores of a stored student, read from its file; on the CPU, so that `verify` finds the same."""
    torch.set_num_threads(1)
    data = load(source)
    return evaluate(load_student(Path(weights)).module, data.test, data, torch.device("cpu")).scores


def _submit(session: Session, job: TrainingJob) -> None:
    store, engine, device = session.store, session.engine, session.device
    architecture, recipe, training = job.architecture, job.recipe, job.training
    rungs = store.ledger.rungs(training)
    final = state_at(store, training, rungs, recipe.epochs)
    if final is not None:
        write_whole(job.weights.parent / "architecture.json", architecture.to_json() + "\n")
        save_student(job.weights, averaged_weights(final), architecture, store.data)
        engine.submit(job, measure_test, str(job.weights.resolve()), store.config.data)
        return
    stretch = next_stretch(store, training, rungs, recipe.epochs)
    task = RungTask(
        architecture=architecture,
        recipe=recipe,
        seed=training.seed,
        start=stretch.start,
        stop=min(stretch.stop, math.floor(stretch.start) + SEGMENT),
        views=job.views,
        device=device,
    )
    engine.submit(job, train_rung, task, stretch.state)
