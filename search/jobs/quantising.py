"""Quantised twins of retrained students, made and measured on the engine."""

from collections import deque
from collections.abc import Sequence

from kd.deploy.int8_file import Int8Scores, is_int8
from kd.deploy.int8_student import Int8Task, quantise_student
from kd.deploy.places import int8_path
from search.session import Session
from space.errors import InputError
from studies.jobs import TrainingJob


def quantise(session: Session, jobs: Sequence[TrainingJob]) -> None:
    """Quantise the students of finished training jobs that have no twin yet.

    Raises:
        InputError: when one fails; what was finished is kept.
    """
    engine, progress = session.engine, session.progress
    waiting = deque(job for job in jobs if not is_int8(int8_path(job.weights)))
    while waiting or engine.tickets:
        while waiting and engine.free > 0:
            job = waiting.popleft()
            engine.submit(job, quantise_student, _task(session, job))
        progress.tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, TrainingJob)
            if not isinstance(result, Int8Scores):
                raise InputError(f"quantisation of {ticket.name} failed: {result}")
            tuned = f" after {result.tuned} passes of fine-tuning" if result.tuned else ""
            progress.note(f"{ticket.name}: int8 test {100 * result.test.accuracy:.2f} %{tuned}")


def _task(session: Session, job: TrainingJob) -> Int8Task:
    weights = job.weights.resolve()
    return Int8Task(
        weights=weights,
        target=int8_path(weights),
        data=session.store.config.data,
        views=job.views,
        recipe=job.recipe,
    )
