"""What optuna-dashboard shows beside its own plots: notes, figures, drawings and curves, written as a study goes on."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from kd.students.curve import Epoch
from reports.dashboard.attributes import DashboardAttributes, UnsupportedVersionError
from reports.dashboard.notes import study_note, trial_note
from reports.facts.evidence import gather_evidence
from reports.facts.report_data import ReportData, gather
from reports.figures.curve_svg import curve_svg
from reports.figures.pareto import front_figure
from reports.figures.static import picture
from reports.figures.student import confusion_figure
from reports.figures.student_svg import student_svg
from reports.figures.study_figures import TITLES, study_figures
from studies.records import StudentRecord, TrialRecord
from studies.storage.attribute_table import AttributeTable
from studies.store import Store

EVERY = 30.0
"""Seconds between two writings of the study's own note and front while it searches."""


@dataclass(slots=True, kw_only=True, eq=False)
class Dashboard:
    """Writes what the dashboard of a study shows; a second writing of the same costs nothing.

    `missing` says what the installed version of a library does not offer: the dashboard then goes without, and no run
    fails over it.
    """

    store: Store
    attributes: DashboardAttributes
    clock: Callable[[], float] = time.monotonic
    missing: str | None = None
    told: float = field(default=float("-inf"))

    @classmethod
    def of(cls, store: Store) -> "Dashboard":
        """That of an open study."""
        table = AttributeTable(engine=store.ledger.engine, study=store.trials.study)
        return cls(
            store=store, attributes=DashboardAttributes.of(store.directory.name, table, store.directory.artifacts)
        )

    def concluded(self, trial: TrialRecord, trial_id: int, trials: Sequence[TrialRecord]) -> None:
        """Tell of a trial that ended, and now and then of the study as it stands."""
        self._try(lambda: self._trial(trial, trial_id))
        if self.clock() - self.told >= EVERY:
            self._try(lambda: self._study(gather(self.store, trials)))

    def trained(self, name: str, points: Sequence[Epoch]) -> None:
        """Curves are shown when a trial has ended."""

    def everything(self, report: ReportData) -> None:
        """Tell of a study with all its trials, figures and students."""
        self._try(lambda: self._everything(report))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
            self.attributes.flush()
        except UnsupportedVersionError as error:
            self.missing = str(error)

    def _everything(self, report: ReportData) -> None:
        self._study(report)
        for name, figure in study_figures(report).items():
            self._figure(name, figure)
        ids = self.store.trials.ids()
        for trial in report.trials:
            self._trial(trial, ids[trial.number])
        annotate(self.store, report.students)
        evidence = gather_evidence(self.store, report.students)
        for student in report.students:
            answered = evidence.students[student.architecture.digest].answered
            if answered is not None and student.trial is not None:
                drawn = picture(confusion_figure(answered, report.classes), "confusion matrix, test set")
                self.attributes.attach(ids[student.trial], f"trial-{student.trial}-confusion.svg", drawn)

    def _study(self, report: ReportData) -> None:
        self.told = self.clock()
        self.attributes.save_note(None, study_note(report))
        if report.trained or report.students:
            self._figure("front", front_figure(report))

    def _figure(self, name: str, figure: go.Figure) -> None:
        # the dashboard's cards have a height of their own and no title
        figure.update_layout(height=None, margin={"t": 60}, title={"text": TITLES[name], "x": 0.02})
        self.attributes.save_figure(name, figure)

    def _trial(self, trial: TrialRecord, trial_id: int) -> None:
        attach, number = self.attributes.attach, trial.number
        drawing = ""
        if trial.outcome not in ("rejected", "duplicate"):
            svg = student_svg(trial.architecture, standalone=True)
            artifact = attach(trial_id, f"trial-{number}.svg", svg)
            drawing = f"/artifacts/{self.attributes.table.study}/{trial_id}/{artifact}"
        if trial.trained:
            attach(trial_id, f"trial-{number}-curve.svg", curve_svg(trial))
            about = {"digest": trial.architecture.digest, "architecture": trial.architecture.to_dict()}
            attach(trial_id, f"trial-{number}.json", json.dumps(about, indent=1))
        self.attributes.save_note(trial_id, trial_note(trial, self.store.config.search.rungs, drawing))


def _columns(student: StudentRecord) -> dict[str, float]:
    """Mean test accuracies of a retrained student: columns of its trial."""
    return {"test_accuracy": student.test} | ({} if student.int8 is None else {"int8_accuracy": student.int8})


def annotate(store: Store, students: Sequence[StudentRecord]) -> None:
    """Put what retraining gave into the columns of the trials."""
    ids = store.trials.ids()
    store.trials.annotate({ids[s.trial]: _columns(s) for s in students if s.trial is not None})


def publish(store: Store, report: ReportData | None = None) -> str | None:
    """Put notes, figures and files onto a study; a second call writes only what is new.

    Returns:
        None when all of it is there, else one line that says what the installed version of a library does not offer.
    """
    dashboard = Dashboard.of(store)
    dashboard.everything(gather(store) if report is None else report)
    return dashboard.missing
