"""How the studies under a root stand, read from their files alone: neither data nor PyTorch nor Optuna are loaded."""

import json
import sqlite3
import statistics
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from operator import le
from pathlib import Path
from typing import Any, Literal

from studies.storage.database import readable_database
from studies.storage.directory import RunDirectory, study_names

ATTRIBUTES = " UNION ALL ".join(
    f"SELECT number, key, value_json FROM trials JOIN trial_{kind}_attributes USING (trial_id) "
    "WHERE key IN ('architecture', 'digest', 'outcome')"
    for kind in ("user", "system")
)
VALUES = "SELECT number, objective, value FROM trials JOIN trial_values USING (trial_id)"
State = Literal["new", "searching", "retraining", "stopped", "finished", "distilled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestStudent:
    """The retrained student with the highest validation accuracy, and the mean of its test accuracies (shares)."""

    parameters: int
    test: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """One study: students trained so far and `asked` for, size of its front, its best student, its last change.

    `state` is "searching" or "retraining" while a process holds the study, "stopped" when there is something left to do
    and none does, "distilled" when students were retrained without a search.
    """

    name: str
    state: State
    trials: int
    asked: int
    front: int
    best: BestStudent | None
    changed: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableStudy:
    """A study that cannot be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """What the database says of a trial; `accuracy` (validation, share) and `sizes` only of a complete one."""

    digest: str
    outcome: str
    accuracy: float | None
    sizes: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Student:
    """What `results.json` says of a student that matters here."""

    digest: str
    parameters: int
    seeds: int
    validation: float | None
    test: float


def summaries(root: Path) -> list[StudySummary | UnreadableStudy]:
    """All studies under a root, by name."""
    return [summarise(RunDirectory(root=root, name=name)) for name in study_names(root)]


def summarise(directory: RunDirectory) -> StudySummary | UnreadableStudy:
    """How one study stands."""
    try:
        asked = json.loads(directory.config.read_bytes())
        trials = _trials(directory)
        students = [_read_student(path) for path in _results(directory)]
        begun = [trial for trial in trials if trial.outcome not in ("rejected", "duplicate")]
        concluded = all(trial.outcome != "unfinished" for trial in trials)
        searched = concluded and len(begun) >= asked["search"]["trials"]
        front = _front(trials, asked["search"]["floor"])
        retrained = {student.digest for student in students if student.seeds >= asked["retrain"]["seeds"]}
        wanted = min(asked["retrain"]["points"] or len(front), len(front))
        finished = searched and len(retrained & front) >= wanted
        return StudySummary(
            name=directory.name,
            state=_state(directory, bool(trials), searched, finished, bool(students)),
            trials=len(begun),
            asked=asked["search"]["trials"],
            front=len(front),
            best=_best(students, {trial.digest: trial.accuracy for trial in reversed(trials)}),
            changed=_changed(directory),
        )
    except sqlite3.Error as error:
        return UnreadableStudy(name=directory.name, reason=f"{directory.database.name}: {error}")
    except OSError as error:
        return UnreadableStudy(name=directory.name, reason=f"{error.strerror}: {error.filename}")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return UnreadableStudy(name=directory.name, reason=f"its files are damaged or of another version ({error})")


def _state(directory: RunDirectory, tried: bool, searched: bool, finished: bool, distilled: bool) -> State:
    if directory.in_use():
        return "retraining" if searched or (distilled and not tried) else "searching"
    if finished:
        return "finished"
    if tried:
        return "stopped"
    return "distilled" if distilled else "new"


def _trials(directory: RunDirectory) -> list[_Trial]:
    if not directory.database.is_file():
        return []
    with readable_database(directory) as database:
        return _read_trials(database)


def _read_trials(database: Path) -> list[_Trial]:
    """All trials with a complete suggestion, by number."""
    attributes: dict[int, dict[str, Any]] = {}
    values: dict[int, dict[int, float]] = {}
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        for number, key, value in connection.execute(f"{ATTRIBUTES} ORDER BY number"):
            attributes.setdefault(number, {})[key] = json.loads(value)
        for number, objective, value in connection.execute(VALUES):
            values.setdefault(number, {})[objective] = value
    return [
        _Trial(
            digest=found["digest"],
            outcome=found.get("outcome", "unfinished"),
            accuracy=values.get(number, {}).get(0),
            sizes=tuple(value for objective, value in sorted(values.get(number, {}).items()) if objective),
        )
        for number, found in attributes.items()
        if "architecture" in found
    ]


def _front(trials: list[_Trial], floor: float) -> set[str]:
    """Digests of the Pareto set of complete trials, as `studies.front.front` has it."""
    points = [((*t.sizes, -t.accuracy), t.digest) for t in trials if t.sizes and t.accuracy is not None]
    points = [point for point in points if -point[0][-1] >= floor] or points
    kept: dict[str, tuple[float, ...]] = {}
    for point, digest in sorted(points):
        if not any(all(map(le, other, point)) for other in kept.values()):
            kept[digest] = point
    return set(kept)


def _read_student(path: Path) -> _Student:
    results = json.loads(path.read_bytes())
    validation = [seed["validation"] for seed in results["seeds"] if seed["validation"] is not None]
    return _Student(
        digest=results["digest"],
        parameters=results["cost"]["parameters"],
        seeds=len(results["seeds"]),
        validation=statistics.fmean(validation) if validation else None,
        test=statistics.fmean(seed["test"] for seed in results["seeds"]),
    )


def _best(students: list[_Student], searched: Mapping[str, float | None]) -> BestStudent | None:
    """The student best on validation, after retraining if that is known, else in the search; never chosen by test."""
    merits = {student: student.validation or searched.get(student.digest) for student in students}
    known = [student for student in students if merits[student] is not None]
    if not known:
        return None
    best = max(known, key=lambda student: (merits[student], -student.parameters))
    return BestStudent(parameters=best.parameters, test=best.test)


def _changed(directory: RunDirectory) -> datetime:
    return datetime.fromtimestamp(max(path.stat().st_mtime for path in _records(directory)))


def _results(directory: RunDirectory) -> list[Path]:
    places = (folder / "results.json" for folder in directory.student_folders)
    return [path for path in places if path.exists()]


def _records(directory: RunDirectory) -> Iterator[Path]:
    """Files whose change is progress; the database's own log grows before the database does."""
    places = (directory.config, directory.database, Path(f"{directory.database}-wal"), directory.page)
    yield from (path for path in (*places, *_results(directory)) if path.is_file())
