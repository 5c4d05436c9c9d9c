"""What students need before they are trained: assistants, and views with the logits of their teacher or assistant."""

from collections.abc import Sequence
from dataclasses import asdict

from kd.data.dataset import DataSet
from kd.distil.views import ViewSource, damage, make_view, missing, view_bytes
from kd.environment import current
from kd.files import free_bytes
from kd.optim.recipe import Recipe
from kd.teachers.log import TeacherLog, log_of
from reports.facts.formats import count, counted
from search.jobs.training import train
from search.session import Session
from space.errors import InputError, first_line
from studies.jobs import TrainingJob
from studies.store import Store


def prepare(session: Session, searches: bool) -> None:
    """Train the assistants that no study under the same root has trained yet, then write the students' views.

    Views of retraining are written in any case, those of the search only where the session `searches`.
    """
    store, teacher = session.store, "the teacher"
    for job in store.assistants:
        if not (log_of(job.weights).is_file() and job.weights.is_file()):
            _make_views(session, [(job.views, job.recipe)], teacher)
            session.progress.phase(f"training {job.name}, {count(job.architecture.cost().parameters)} parameters")
            train(session, [job])
            _log(store, job, session.device).write(job.weights)
        teacher = job.name
    searched, retrained = (store.views, store.config.recipe), (store.retrain_views, store.config.retrain.recipe)
    _make_views(session, [searched, retrained] if searches else [retrained], teacher)


def _make_views(session: Session, uses: Sequence[tuple[ViewSource, Recipe]], teacher: str) -> None:
    """Write the views that recipes need and that are missing."""
    engine, progress = session.engine, session.progress
    lacking = list(dict.fromkeys(view for views, recipe in uses for view in missing(views, recipe)))
    if not lacking:
        return
    _check_room(lacking, session.store.data)
    progress.phase(f"preparing {counted(len(lacking), 'view')} with the logits of {teacher}")
    for views, index in lacking:
        path = views.view(index)
        if wrong := damage(views, index):
            progress.note(f"view {path.parent.name}/{path.name} is damaged ({wrong}) and made again")
        engine.submit(f"{path.parent.name}/{path.name}", make_view, views, index, session.device)
    while engine.tickets:
        progress.tick()
        for ticket, result in engine.finished(seconds=1.0):
            if isinstance(result, InputError):
                raise result
            if isinstance(result, OSError):
                folder = lacking[0][0].folder.parent
                raise InputError(f"view {ticket} cannot be written ({first_line(result)}): make room in {folder}")
            if isinstance(result, Exception):
                raise InputError(f"view {ticket} failed ({first_line(result)}): check the teacher, and memory")
            progress.note(f"view {ticket} is ready")


def _check_room(lacking: Sequence[tuple[ViewSource, int]], data: DataSet) -> None:
    """Raise InputError where views would not fit on the disk, before the first; a teacher's maps come on top."""
    folder, free = lacking[0][0].folder.parent, free_bytes(lacking[0][0].folder)
    needed = sum(view_bytes(views, data) for views, _ in lacking)
    if needed > free:
        raise InputError(
            f"{counted(len(lacking), 'view')} take {needed / 1e9:.1f} GB in {folder}, {free / 1e9:.1f} GB are free: "
            "make room, lower recipe.views and retrain.recipe.views, or use another folder with --runs"
        )


def _log(store: Store, job: TrainingJob, device: str) -> TeacherLog:
    """A trained assistant's log."""
    curve = [asdict(epoch) for rung in store.ledger.rungs(job.training) for epoch in rung.curve]
    test = store.ledger.test_accuracy(job.training)
    assert test is not None, f"{job.name} is trained, so its test accuracy has been read"
    return TeacherLog(
        data=store.data.digest,
        parameters=job.architecture.cost().parameters,
        validation_accuracy=curve[-1]["validation_accuracy"],
        test_accuracy=test,
        recipe=asdict(job.recipe),
        curve=tuple(curve),
        environment=current(device),
    )
