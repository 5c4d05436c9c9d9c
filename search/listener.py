"""Who is told what happens while a study is trained: the dashboard, logs of curves."""

from collections.abc import Sequence
from typing import Protocol

from kd.students.curve import Epoch
from studies.records import TrialRecord


class Listener(Protocol):
    """Is told of parts of learning curves as they are trained, and of trials as they end."""

    def trained(self, name: str, points: Sequence[Epoch]) -> None:
        """A part of the learning curve of a trial or a retraining."""

    def concluded(self, trial: TrialRecord, trial_id: int, trials: Sequence[TrialRecord]) -> None:
        """A trial of an identifier in the database has ended; `trials` are all so far."""
