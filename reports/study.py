"""A study for Python users: its trials and students as pandas frames, its front, its figures."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from reports.facts.report_data import ReportData, gather
from reports.facts.tables import student_frame, trial_frame
from reports.figures.study_figures import study_figures
from studies.records import StudentRecord, TrialRecord
from studies.storage.directory import RunDirectory
from studies.store import opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What a study had found when it was read.

    >>> import tempfile
    >>> from studies.configuration.config import Config
    >>> from studies.store import create
    >>> directory = RunDirectory(root=Path(tempfile.mkdtemp()), name="new")
    >>> create(directory, Config())
    >>> study = open_study(directory.path)
    >>> len(study.trials), study.front, study.best
    (0, (), None)
    """

    path: Path
    """The run directory."""
    report: ReportData = field(repr=False)
    """Everything that the study's report tells, as typed records."""

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: outcome, family, digest, costs, epochs, validation accuracy (share), seconds."""
        return trial_frame(self.report.trials)

    @property
    def students(self) -> pd.DataFrame:
        """One row a retrained student, smallest first; accuracies are means over seeds (shares)."""
        return student_frame(self.report)

    @property
    def front(self) -> tuple[TrialRecord, ...]:
        """Complete trials that no other beats in both validation accuracy and parameters, smallest first."""
        return self.report.front

    @property
    def best(self) -> StudentRecord | None:
        """The retrained student that is best on validation samples; None if there is none yet."""
        return self.report.best

    @property
    def figures(self) -> dict[str, go.Figure]:
        """The report's figures by name: "front", "learning-curves", "retrained-curves", "outcomes"."""
        return study_figures(self.report)


def open_study(path: str | Path) -> Study:
    """Read a study, finished or still running.

    Args:
        path: its run directory, `runs/NAME`.

    Raises:
        InputError: when there is no study, or it cannot be read.
    """
    directory = RunDirectory(root=Path(path).parent, name=Path(path).name)
    with opened(directory) as store:
        return Study(path=directory.path, report=gather(store))
