"""What a report tells: the records of one study, gathered once, and the sentence that sums them up."""

from dataclasses import dataclass
from pathlib import Path

from kd.data.dataset import DataSet
from kd.teachers.log import TeacherLog, log_of
from reports.data_set import sizes
from reports.formats import count, counted, mean_test, percent
from space.architecture import FAMILIES, Family
from space.errors import InputError
from studies.config import Config
from studies.front import front, student_front
from studies.records import StudentRecord, TrialRecord, student_records, trial_records
from studies.store import Store

CLOSE = 0.01
"""How far below the best (share) the smallest student that is named may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRecord:
    """The name of a teacher or an assistant and what the log beside its file says; None for what it does not.

    The accuracies of one that was taught on other data than the study's, or on another split of them, are no measure.
    """

    name: str
    parameters: int | None = None
    validation: float | None = None
    test: float | None = None
    foreign: bool = False

    @property
    def brief(self) -> str:
        """All of it in a line."""
        facts = [self.name]
        facts += [f"{count(self.parameters)} parameters"] if self.parameters is not None else []
        facts += [f"{percent(self.validation)} validation"] if self.validation is not None else []
        facts += [f"{percent(self.test)} test"] if self.test is not None else []
        foreign = "taught on other data or another split, so it may have seen these test samples"
        facts += [foreign] if self.foreign else []
        return ", ".join(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything a report is rendered from; `target` is how commands name the study, `data` describes its data."""

    name: str
    target: str
    config: Config
    data: str
    teachers: tuple[TeacherRecord, ...]
    assistants: tuple[TeacherRecord, ...]
    trials: tuple[TrialRecord, ...]
    front: tuple[TrialRecord, ...]
    students: tuple[StudentRecord, ...]
    student_front: tuple[StudentRecord, ...]

    @property
    def trained(self) -> tuple[TrialRecord, ...]:
        """Trials of which at least one epoch was trained."""
        return tuple(trial for trial in self.trials if trial.trained)

    @property
    def searches_recipe(self) -> bool:
        """Whether parts of the recipe were drawn."""
        return any(trial.recipe for trial in self.trials)

    @property
    def families(self) -> tuple[Family, ...]:
        """Families with a trained trial."""
        trained = {trial.architecture.family for trial in self.trained}
        return tuple(family for family in FAMILIES if family in trained)

    @property
    def seconds(self) -> float:
        """Seconds of training, the search's and the retraining's, over all workers."""
        seeds = (seed for student in self.students for seed in student.seeds)
        return sum(trial.seconds for trial in self.trials) + sum(seed.seconds for seed in seeds)

    @property
    def best(self) -> StudentRecord | None:
        """The retrained student within the budget that is best on validation; None when there is no figure to go by."""
        return next(reversed(self._contenders), None)

    @property
    def smallest(self) -> StudentRecord | None:
        """The smallest retrained student within the budget and within `CLOSE` of the best, by validation too."""
        least = max((s.merit or 0 for s in self._contenders), default=0) - CLOSE
        return next((s for s in self._contenders if (s.merit or 0) >= least), None)

    @property
    def _contenders(self) -> list[StudentRecord]:
        """The front of the retrained students that are within the budget, the best last."""
        return student_front([s for s in self.students if self.config.budget.rejection_reason(s.architecture) is None])


def gather(store: Store) -> ReportData:
    """Read everything a report tells from an open study."""
    trials = trial_records(store)
    students = student_records(store)
    models = store.config.teacher.resolved(missing_ok=True).models
    return ReportData(
        name=store.directory.name,
        target=store.directory.target,
        config=store.config,
        data=f"{store.data.source.name}: {sizes(store.data)} samples, split seed {store.data.source.seed}",
        teachers=tuple(_teacher(Path(model).name, Path(model), store.data) for model in models),
        assistants=tuple(_teacher(course.name, course.weights, store.data) for course in store.assistants),
        trials=tuple(trials),
        front=tuple(front(trials, store.config.search.floor)),
        students=tuple(students),
        student_front=tuple(student_front(students)),
    )


def headline(content: ReportData) -> str:
    """Sum a study up: the best student and the smallest nearly as good, or how far the study is."""
    best, smallest = content.best, content.smallest
    if best is None or smallest is None:
        return _progress(content)
    limit = content.config.budget.parameters
    where = f" under {count(limit)} parameters" if limit else ""
    first = (
        f"The best student{where} reaches {mean_test(best)} on the test set "
        f"with {count(best.cost.parameters)} parameters ({best.architecture.family})"
    )
    if smallest is best:
        return f"{first}; no smaller one retrained is within a point of it on validation samples."
    return (
        f"{first}; the smallest within a point of it on validation samples reaches {mean_test(smallest)} "
        f"with {count(smallest.cost.parameters)} ({smallest.architecture.family})."
    )


def _progress(content: ReportData) -> str:
    if content.students:
        retrained = counted(len(content.students), "student")
        return f"{retrained} retrained, none within the budget with a validation accuracy to choose one by."
    if not content.trials:
        return "Nothing has been tried yet."
    if not content.front:
        return (
            f"No trial is complete yet: {counted(len(content.trials), 'trial')} so far, "
            f"{count(len(content.trained))} of them trained."
        )
    top = content.front[-1]
    return (
        f"No student is retrained yet; the best candidate of the search has {percent(top.accuracy)} validation "
        f"accuracy after {counted(top.epochs, 'epoch')} with {count(top.cost.parameters)} parameters "
        f"({top.architecture.family})."
    )


def _teacher(name: str, path: Path, data: DataSet) -> TeacherRecord:
    # a teacher that is code is no file, and a .json of its module's name no log
    if not path.is_file():
        return TeacherRecord(name=name)
    try:
        log = TeacherLog.from_json(log_of(path))
    except InputError:  # missing, another program's, or damaged
        return TeacherRecord(name=name)
    if log.data != data.digest:
        return TeacherRecord(name=name, parameters=log.parameters, foreign=True)
    return TeacherRecord(
        name=name, parameters=log.parameters, validation=log.validation_accuracy, test=log.test_accuracy
    )
