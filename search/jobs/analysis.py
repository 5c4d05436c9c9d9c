"""What reports tell of networks sample by sample: the teacher's answers, and features laid out in a plane.

Computed once, after retraining, and kept: a report runs no network. A network that cannot be asked costs no study.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from kd.data.dataset import DataSource, load_once
from kd.students.embedding import Embedding, embedded_places, student_features
from kd.students.file import load_student
from kd.students.reading import Reading
from kd.teachers.answers import teacher_features, teacher_reading
from kd.teachers.source import TeacherSource
from search.session import Session
from space.errors import first_line
from studies.records import StudentRecord

Task = tuple[str, Path, Callable[..., Any], tuple[Any, ...]]
"""What is computed, the file it is kept in, the function and its arguments."""


def analyse(session: Session, students: Sequence[StudentRecord]) -> None:
    """Compute on the engine what is missing of some retrained students and of their teacher."""
    waiting = [task for task in _tasks(session, students) if not task[1].is_file()]
    if not waiting:
        return
    engine, progress = session.engine, session.progress
    progress.phase("laying out features, asking the teacher about what students get wrong")
    files = {name: path for name, path, _, _ in waiting}
    for name, _, function, arguments in waiting:
        engine.submit(name, function, *arguments)
    while engine.tickets:
        progress.tick()
        for ticket, result in engine.finished(seconds=1.0):
            if isinstance(result, Exception):
                progress.note(f"{ticket} is left out of the report: {first_line(result)}")
            else:
                result.save(files[str(ticket)])


def read_teacher(source: TeacherSource, data: DataSource) -> Reading:
    """A teacher's answers."""
    torch.set_num_threads(1)
    return teacher_reading(source, load_once(data))


def embed_teacher(source: TeacherSource, data: DataSource) -> Embedding:
    """A teacher's features of some validation samples, laid out."""
    torch.set_num_threads(1)
    loaded = load_once(data)
    places = embedded_places(loaded)
    return Embedding.of(teacher_features(source, loaded, places), places)


def embed_student(weights: str, data: DataSource) -> Embedding:
    """A stored student's features of the same samples, laid out."""
    torch.set_num_threads(1)
    loaded = load_once(data)
    places = embedded_places(loaded)
    return Embedding.of(student_features(load_student(Path(weights)).module, loaded, places), places)


def _tasks(session: Session, students: Sequence[StudentRecord]) -> list[Task]:
    """The teacher's tasks, then each student's, of the seed that is exported."""
    store = session.store
    directory, data, teacher = store.directory, store.config.data, store.retrain_views.teacher
    tasks: list[Task] = []
    if not teacher.stored:
        tasks.append(("the teacher's opinion", directory.teacher_reading, read_teacher, (teacher, data)))
        tasks.append(("the teacher's features", directory.teacher_features, embed_teacher, (teacher, data)))
    for student in students:
        digest = student.architecture.digest
        weights = directory.student(digest) / f"seed-{student.exported.seed}.safetensors"
        name = f"features of student {digest}"
        path = directory.student_features(digest, student.exported.seed)
        tasks.append((name, path, embed_student, (str(weights.resolve()), data)))
    return tasks
