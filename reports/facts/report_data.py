"""What a report is rendered from: the records of one study, gathered once, and the sentence that sums them up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kd.data.dataset import DataSet
from kd.environment import Environment
from kd.students.results import StudentResults
from kd.teachers.log import TeacherLog, log_of
from kd.teachers.measurement import TeacherMeasurement
from reports.facts.formats import count, counted, mean_test, percent, split_sizes
from reports.facts.majority import Majority, constant_warning, majority_of
from space.architecture import FAMILIES, Family
from space.board import Board
from space.errors import InputError
from studies.configuration.config import Config
from studies.front import front, student_front
from studies.records import StudentRecord, TrialRecord, student_records, trial_records
from studies.store import Store

NEAR_BEST = 0.01
"""How far below the best (share) the smallest student that is named may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRecord:
    """The name of a teacher or an assistant and what the log beside its file says; None for what it does not.

    The accuracies of one that was trained on other data than the study's, or on another split of them, are no measure.
    """

    name: str
    parameters: int | None = None
    validation: float | None = None
    test: float | None = None
    trained_elsewhere: bool = False

    @property
    def summary(self) -> str:
        """All of it in a line."""
        facts = [self.name]
        facts += [f"{count(self.parameters)} parameters"] if self.parameters is not None else []
        facts += [f"{percent(self.validation)} validation"] if self.validation is not None else []
        facts += [f"{percent(self.test)} test"] if self.test is not None else []
        elsewhere = "trained on other data or another split, so it may have seen these test samples"
        facts += [elsewhere] if self.trained_elsewhere else []
        return ", ".join(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSamples:
    """How many samples the splits have."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything a report is rendered from.

    `target` is how commands name the study, `path` its folder, `data` describes its data, `notes` are those of the data
    set, `classes` its classes' names, `samples` how many each split has, `majority` what a constant student reaches.
    `digests` name data and views. `measured` is how good the teachers were found before they taught, None where that is
    not known; `environments` are those that its students were retrained in; `board` is the one that they are to fit.
    """

    name: str
    target: str
    path: str
    config: Config
    data: str
    data_name: str
    digests: Mapping[str, str]
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    samples: SplitSamples
    majority: Majority
    teachers: tuple[TeacherRecord, ...]
    assistants: tuple[TeacherRecord, ...]
    measured: TeacherMeasurement | None
    trials: tuple[TrialRecord, ...]
    front: tuple[TrialRecord, ...]
    students: tuple[StudentRecord, ...]
    student_front: tuple[StudentRecord, ...]
    environments: tuple[Environment, ...]
    board: Board | None = None

    @property
    def trained(self) -> tuple[TrialRecord, ...]:
        """Trials of which at least one epoch was trained."""
        return tuple(trial for trial in self.trials if trial.trained)

    @property
    def searches_recipe(self) -> bool:
        """Whether parts of the recipe were searched."""
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
        return next(reversed(self._eligible), None)

    @property
    def smallest(self) -> StudentRecord | None:
        """The smallest retrained student within the budget and within `NEAR_BEST` of the best, by validation too."""
        enough = max((s.merit or 0 for s in self._eligible), default=0) - NEAR_BEST
        return next((s for s in self._eligible if (s.merit or 0) >= enough), None)

    @property
    def _eligible(self) -> list[StudentRecord]:
        """The front of the retrained students that are within the budget, the best last."""
        return student_front([s for s in self.students if self.config.budget.rejection_reason(s.architecture) is None])


def gather(store: Store, trials: Sequence[TrialRecord] | None = None) -> ReportData:
    """Read everything a report is rendered from out of an open study, in whatever state it is.

    The `trials` are read unless they are given.
    """
    trials = trial_records(store) if trials is None else trials
    students = student_records(store, trials)
    models = store.config.teacher.resolved(missing_ok=True).models
    return ReportData(
        name=store.directory.name,
        target=store.directory.target,
        path=str(store.directory.path),
        config=store.config,
        data=f"{store.data.source.name}: {split_sizes(store.data)} samples, split seed {store.data.source.seed}",
        notes=store.data.notes,
        classes=store.data.names,
        data_name=store.data.name,
        digests={"data": store.data.digest, "views": store.views.folder.name},
        samples=SplitSamples(
            train=len(store.data.train.labels),
            validation=len(store.data.validation.labels),
            test=len(store.data.test.labels),
        ),
        majority=majority_of(store.data),
        teachers=tuple(_teacher(Path(model).name, Path(model), store.data) for model in models),
        assistants=tuple(_teacher(job.name, job.weights, store.data) for job in store.assistants),
        measured=_measured(store),
        trials=tuple(trials),
        front=tuple(front(trials, store.config.search.floor)),
        students=tuple(students),
        student_front=tuple(student_front(students)),
        environments=_environments(store),
        board=store.config.board,
    )


def _environments(store: Store) -> tuple[Environment, ...]:
    """Where the students were retrained, each place once; of students that say it."""
    found: dict[Environment, None] = {}
    for folder in store.directory.student_folders:
        try:
            found[StudentResults.from_json(folder / "results.json").environment] = None
        except InputError:  # damaged, or a retraining is still writing it: `verify` says so
            continue
    return tuple(found)


def headline(report: ReportData) -> str:
    """Sum a study up: the best student and the smallest nearly as good, or how far the study is."""
    best, smallest = report.best, report.smallest
    if best is None or smallest is None:
        return _progress(report)
    limit = report.config.budget.parameters
    where = f" under {count(limit)} parameters" if limit else ""
    first = (
        f"The best student{where} reaches {mean_test(best)} on the test set "
        f"with {count(best.cost.parameters)} parameters ({best.architecture.family})"
    )
    warning = constant_warning(best, report.majority)
    if smallest is best:
        return f"{first}; no smaller one retrained is within a point of it on validation samples.{warning}"
    return (
        f"{first}; the smallest within a point of it on validation samples reaches {mean_test(smallest)} "
        f"with {count(smallest.cost.parameters)} ({smallest.architecture.family}).{warning}"
    )


def _progress(report: ReportData) -> str:
    if report.students:
        retrained = counted(len(report.students), "student")
        return f"{retrained} retrained, none within the budget with a validation accuracy to choose one by."
    if not report.trials:
        return "Nothing has been tried yet."
    if not report.front:
        return (
            f"No trial is complete yet: {counted(len(report.trials), 'trial')} so far, "
            f"{count(len(report.trained))} of them trained."
        )
    top = report.front[-1]
    return (
        f"No student is retrained yet; the best candidate of the search has {percent(top.accuracy)} validation "
        f"accuracy after {counted(top.epochs, 'epoch')} with {count(top.cost.parameters)} parameters "
        f"({top.architecture.family}).{constant_warning(top, report.majority)}"
    )


def _measured(store: Store) -> TeacherMeasurement | None:
    try:
        return TeacherMeasurement.from_json(store.directory.teachers)
    except InputError:  # missing or damaged: the next run measures again
        return None


def _teacher(name: str, path: Path, data: DataSet) -> TeacherRecord:
    # a teacher that is code is no file, and a .json file with its module's name is no log
    if not path.is_file():
        return TeacherRecord(name=name)
    try:
        log = TeacherLog.from_json(log_of(path))
    except InputError:  # missing, written by another program, or damaged
        return TeacherRecord(name=name)
    if log.data != data.digest:
        return TeacherRecord(name=name, parameters=log.parameters, trained_elsewhere=True)
    return TeacherRecord(
        name=name, parameters=log.parameters, validation=log.validation_accuracy, test=log.test_accuracy
    )
