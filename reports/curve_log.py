"""Learning curves for other tools, as they are trained: TensorBoard's event files, or one CSV file."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from kd.students.curve import Epoch
from space.errors import InputError
from studies.records import TrialRecord

Format = Literal["tensorboard", "csv"]
COLUMNS = tuple(field.name for field in fields(Epoch) if field.name != "recalls")
"""What is logged of a point of a curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvLog:
    """One file, a row a point of a curve, added to by every run."""

    path: Path

    def trained(self, name: str, points: Sequence[Epoch]) -> None:
        """Add the points of a trial or a retraining."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(["name", *COLUMNS])
            writer.writerows([name, *(getattr(point, column) for column in COLUMNS)] for point in points)

    def concluded(self, trial: TrialRecord, trial_id: int, trials: Sequence[TrialRecord]) -> None:
        """Curves say it all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorBoardLog:
    """A folder a trial or a retraining, as TensorBoard tells runs apart; a step is a hundredth of an epoch."""

    folder: Path

    def trained(self, name: str, points: Sequence[Epoch]) -> None:
        """Add the points of a trial or a retraining."""
        with _writer()(log_dir=str(self.folder / name)) as writer:
            for point in points:
                for column in COLUMNS:
                    value = getattr(point, column)
                    if column != "epoch" and value is not None:
                        writer.add_scalar(column, value, round(100 * point.epoch))

    def concluded(self, trial: TrialRecord, trial_id: int, trials: Sequence[TrialRecord]) -> None:
        """Curves say it all."""


def curve_log(format: Format, folder: Path) -> CsvLog | TensorBoardLog:
    """A log in a folder; raises InputError where TensorBoard is asked for and not installed."""
    if format == "csv":
        return CsvLog(path=folder / "curves.csv")
    _writer()
    return TensorBoardLog(folder=folder / "tensorboard")


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--log tensorboard needs it: pip install tensorboard, or use --log csv") from error
    return SummaryWriter
