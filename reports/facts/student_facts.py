"""What is told of one trained student, on its page and on its card."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kd.data.dataset import DataSet
from kd.deploy.integers import IntegerProgram
from kd.measure.measurement import Measurement
from kd.students.file import TrainedStudent
from kd.students.results import StudentResults
from reports.facts.boards import judge
from reports.facts.formats import count, percent
from space.board import Board
from studies.configuration.config import Config

LICENCES = {
    "mnist": "CC BY-SA 3.0 (Y. LeCun, C. Cortes, C. J. C. Burges)",
    "fashion-mnist": "MIT (Zalando SE)",
    "kmnist": "CC BY-SA 4.0 (ROIS-DS Center for Open Data in the Humanities)",
}
"""Licences of data sets by name, as far as they are known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudentFacts:
    """One trained student, its integers, and what is known of it.

    `results` are those of its retraining, `config` what was asked of its study, `data` what it learnt from; None for a
    student of which there is only the file. `samples` are some that it did not learn from, `board` one to judge by.
    """

    student: TrainedStudent
    program: IntegerProgram
    results: StudentResults | None
    config: Config | None
    data: DataSet | None
    samples: Tensor
    measurements: Sequence[Measurement] = ()
    board: Board | None = None

    @property
    def names(self) -> list[str]:
        """The classes' names."""
        return [self.student.class_name(index) for index in range(self.student.architecture.classes)]

    @property
    def data_name(self) -> str:
        """What the data are called, or their digest."""
        return f"data {self.student.data}" if self.data is None else self.data.name

    @property
    def licence(self) -> str:
        """That of the data."""
        name = "" if self.data is None else self.data.source.name
        return LICENCES.get(name, "not known to wunderkind: ask where the data come from")

    @property
    def accuracy(self) -> str:
        """Test accuracy in float, mean ± sample standard deviation over the seeds; "" where it was not measured."""
        return "" if self.results is None else mean_and_deviation([seed.test for seed in self.results.seeds])

    @property
    def int8_accuracy(self) -> str:
        """That of the quantised twins; "" where they were not measured."""
        tests = [] if self.results is None else [seed.int8_test for seed in self.results.seeds]
        known = [test for test in tests if test is not None]
        return mean_and_deviation(known) if known else ""

    @property
    def in_emulators(self) -> list[Measurement]:
        """Measurements on processors that are not this machine."""
        return [one for one in self.measurements if one.instructions is not None]

    def figures(self) -> list[tuple[str, str]]:
        """What it costs and reaches, by name, in words."""
        cost = self.student.architecture.cost()
        latency = [one.latency_ms for one in self.measurements if one.latency_ms is not None]
        return [
            *([("test accuracy, float", self.accuracy)] if self.accuracy else []),
            *([("test accuracy, int8", self.int8_accuracy)] if self.int8_accuracy else []),
            ("parameters", f"{count(cost.parameters)} trained, {count(cost.deployed_parameters)} deployed"),
            ("multiply-accumulates", f"{count(cost.macs)} a sample"),
            ("constants in int8", f"{count(self.program.bytes)} bytes"),
            ("activations in int8", f"{count(cost.memory_bytes)} bytes"),
            *([("latency", f"{latency[-1]:.3g} ms in onnxruntime, one thread")] if latency else []),
            *([(self.board.title, self._judged(self.board))] if self.board else []),
            ("learnt from", self.data_name),
        ]

    def _judged(self, board: Board) -> str:
        """Whether it fits a board, and how long a sample lasts there."""
        return judge(self.student.architecture, board, self.measurements).in_words


def mean_and_deviation(shares: Sequence[float]) -> str:
    """Shares as per cent: mean ± sample standard deviation and their number; no deviation for one."""
    values = torch.tensor(shares, dtype=torch.float64)
    mean, seeds = percent(float(values.mean())), f"(n = {len(shares)})"
    return f"{mean} {seeds}" if len(shares) == 1 else f"{mean[:-2]} ± {percent(float(values.std()))} {seeds}"
