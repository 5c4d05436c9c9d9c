"""Whole trainings on the engine: in segments a crash can cost one of, the test split read once at the end."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from kd.data.dataset import DataSource, load
from kd.distil.train import RungResult, RungTask, train_rung
from kd.files import write_whole
from kd.optim.checkpoint import averaged_weights
from kd.students.evaluate import logits_of
from kd.students.file import load_student, save_student
from kd.students.reading import Answers, Reading
from search.jobs.shares import Share, shares_of
from search.rungs import next_stretch, record_rung, state_at
from search.session import Session
from space.errors import InputError
from studies.jobs import TrainingJob
from studies.storage.directory import reading_file


def train(session: Session, jobs: Sequence[TrainingJob]) -> None:
    """Do training jobs, each from the longest part of it that the ledger has, so that all workers end together.

    Raises:
        InputError: when a training fails; what was finished is kept.
    """
    store, engine, progress = session.store, session.engine, session.progress
    shares, flying = shares_of(session, jobs), dict[TrainingJob, Share]()
    while shares.waiting or engine.tickets:
        while shares.waiting and engine.free > 0:
            share, epochs = shares.take(engine.slots)
            flying[share.job] = share
            _submit(session, share.job, epochs)
        progress.tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, TrainingJob)
            share = flying.pop(ticket)
            if isinstance(result, RungResult) and result.failure is None:
                _record(session, ticket, result)
                shares.put_back(share, result)
            elif isinstance(result, Reading):
                result.save(reading_file(ticket.weights))
                store.ledger.record_test(ticket.training, result.scores.accuracy, result.scores)
                progress.note(f"{ticket.name}: test {100 * result.scores.accuracy:.2f} %")
                shares.finish()
            else:
                reason = result.failure if isinstance(result, RungResult) else result
                raise InputError(f"training of {ticket.name} failed: {reason}")


def _record(session: Session, job: TrainingJob, result: RungResult) -> None:
    """Keep a part of a training, and tell of it."""
    last, note = result.curve[-1], session.progress.note
    record_rung(session.store, job.training, last.epoch, result, session.now)
    for listener in session.listeners:
        listener.trained(job.name.replace(" ", "-").replace(",", ""), result.curve)
    validation = f"validation {100 * last.validation_accuracy:.2f} %"
    measure = f"loss {last.train_loss:.4f}" if job.views.with_validation else validation
    note(f"{job.name}: epoch {last.epoch:g} of {job.recipe.epochs}, {measure}")
    session.progress.reached(job, last.epoch / job.recipe.epochs)
    if result.unrecorded:
        note(f"{job.name}: its steps are not recorded ({result.unrecorded}), and slow")


def measure_test(weights: str, source: DataSource) -> Reading:
    """What a stored student, read from its file, answers; on the CPU, so that `verify` finds the same."""
    torch.set_num_threads(1)
    data, module = load(source), load_student(Path(weights)).module
    given = {
        name: Answers.of(torch.cat(logits_of(module, split, data, torch.device("cpu"))), split.labels)
        for name, split in (("test", data.test), ("validation", data.validation))
    }
    return Reading(**given)


def _submit(session: Session, job: TrainingJob, epochs: int) -> None:
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
        stop=min(stretch.stop, math.floor(stretch.start) + epochs),
        views=job.views,
        device=device,
    )
    engine.submit(job, train_rung, task, stretch.state)
