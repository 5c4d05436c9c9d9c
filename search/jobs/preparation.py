"""What students need before they are trained: assistants, and views with the answers of who teaches them."""

from collections.abc import Sequence
from dataclasses import asdict

from kd.distil.views import ViewSource, make_view, missing
from kd.environment import current
from kd.optim.recipe import Recipe
from kd.teachers.log import TeacherLog, log_of
from reports.formats import count, counted
from search.engine.dask import Engine
from search.jobs.training import train
from search.progress import Progress
from space.errors import InputError, first_line
from studies.jobs import TrainingJob
from studies.store import Store


def prepare(store: Store, engine: Engine, searches: bool, device: str, progress: Progress) -> None:
    """Train the assistants that no study under the same root has trained yet, then write the students' views.

    Args:
        store: the study.
        engine: trains and writes.
        searches: whether it will search; views of retraining are written in any case.
        device: where.
        progress: is told.
    """
    teacher = "the teacher"
    for course in store.assistants:
        if not (log_of(course.weights).is_file() and course.weights.is_file()):
            _make_views([(course.views, course.recipe)], teacher, engine, device, progress)
            progress.phase(f"training {course.name}, {count(course.architecture.cost().parameters)} parameters")
            train(store, engine, [course], device, progress.note, lambda: progress.tick(engine))
            _log(store, course, device).write(course.weights)
        teacher = course.name
    searched, retrained = (store.views, store.config.recipe), (store.retrain_views, store.config.retrain.recipe)
    _make_views([searched, retrained] if searches else [retrained], teacher, engine, device, progress)


def _make_views(
    uses: Sequence[tuple[ViewSource, Recipe]], teacher: str, engine: Engine, device: str, progress: Progress
) -> None:
    """Write the views that recipes need and that are missing."""
    lacking = list(dict.fromkeys(view for views, recipe in uses for view in missing(views, recipe)))
    if not lacking:
        return
    progress.phase(f"preparing {counted(len(lacking), 'view')} with the logits of {teacher}")
    for views, index in lacking:
        path = views.view(index)
        engine.submit(f"{path.parent.name}/{path.name}", make_view, views, index, device)
    while engine.tickets:
        progress.tick(engine)
        for ticket, result in engine.finished(seconds=1.0):
            if isinstance(result, InputError):
                raise result
            if isinstance(result, Exception):
                raise InputError(f"view {ticket} failed ({first_line(result)}): check the teacher, and memory")
            progress.note(f"view {ticket} is ready")


def _log(store: Store, course: TrainingJob, device: str) -> TeacherLog:
    """A trained assistant's log."""
    curve = [asdict(epoch) for rung in store.ledger.rungs(course.training) for epoch in rung.curve]
    test = store.ledger.test_accuracy(course.training)
    assert test is not None, f"{course.name} is trained, so its test accuracy has been read"
    return TeacherLog(
        data=store.data.digest,
        parameters=course.architecture.cost().parameters,
        validation_accuracy=curve[-1]["validation_accuracy"],
        test_accuracy=test,
        recipe=asdict(course.recipe),
        curve=tuple(curve),
        environment=current(device),
    )
