"""Which training goes on where a worker is free, so that all workers end together."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from kd.distil.train import RungResult
from search.estimate import remaining_trainings
from search.session import Session
from studies.jobs import TrainingJob

SEGMENT = 5
"""Epochs between two saved states: what a crash can cost at most."""

PIECE = 5.0
"""Seconds that a part of a training takes at least where trainings are shared: starting it costs up to half of one."""


@dataclass(slots=True, kw_only=True, eq=False)
class Share:
    """A training job, the epochs left of it, and what an epoch takes: seconds, or MACs where none was measured."""

    job: TrainingJob
    epochs: float
    pace: float
    measured: bool = False

    @property
    def left(self) -> float:
        """What is left of it."""
        return self.epochs * self.pace


class Shares:
    """Jobs that wait for a worker; those in flight are taken out and put back."""

    def __init__(self, shares: Sequence[Share]) -> None:
        """Begin with the longest."""
        self.waiting = sorted(shares, key=lambda share: -share.left)
        self._unfinished = len(self.waiting)

    def take(self, slots: int) -> tuple[Share, int]:
        """The job to go on with on one of so many workers, and the most epochs of it to train now.

        A job is gone on with until it is done, the longest first. But where fewer than two are left for each worker,
        it is the one with most left, in small parts: three equal ones then end together on two workers, where one
        would have to wait for the third.
        """
        shared = slots < self._unfinished < 2 * slots
        share = next((share for share in self.waiting if share.epochs <= 0), self.waiting[0])
        if shared and share.epochs > 0:
            share = max(self.waiting, key=lambda share: share.left)
        self.waiting.remove(share)
        if not shared:
            return share, SEGMENT
        return share, min(SEGMENT, max(1, math.ceil(PIECE / share.pace))) if share.measured else 1

    def put_back(self, share: Share, result: RungResult) -> None:
        """A part of it is trained; it is the first to go on."""
        share.epochs = min(share.epochs, share.job.recipe.epochs - result.curve[-1].epoch)
        share.pace, share.measured = max(result.seconds, 1e-3) / len(result.curve), True
        self.waiting.insert(0, share)

    def finish(self) -> None:
        """One is done that was taken."""
        self._unfinished -= 1


def shares_of(session: Session, jobs: Sequence[TrainingJob]) -> Shares:
    """Shares of jobs, by the ledger and the trials of their architectures; those not measured by their MACs."""
    remaining = remaining_trainings(session.store, jobs, session.progress.trials)
    macs = [job.architecture.cost().macs for job in jobs]
    paces = [r.seconds_per_epoch / m for r, m in zip(remaining, macs, strict=True) if r.seconds_per_epoch is not None]
    seconds_per_mac = statistics.fmean(paces) if paces else 1.0
    return Shares(
        [
            Share(
                job=job,
                epochs=left.epochs,
                pace=left.seconds_per_epoch or count * seconds_per_mac,
                measured=left.seconds_per_epoch is not None,
            )
            for job, left, count in zip(jobs, remaining, macs, strict=True)
        ]
    )
