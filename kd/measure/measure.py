"""A student's C measured on a target."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kd.measure.build import Face, build
from kd.measure.emulate import answers
from kd.measure.measurement import Form, Measurement
from kd.measure.target import Target, run

FLOAT_TOLERANCE = 1e-4
"""Largest difference of a logit in float, as a share of the largest logit (at least 1)."""
SECONDS = 600.0
"""How long an emulator may take for all samples."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What is measured: C in a folder, its face, and samples (n, inputs).

    `logits` (n, outputs) are those of the program that the C is made from: int8 to the bit, or float; `classes` (n,)
    those that the student names.
    """

    source: Path
    face: Face
    samples: NDArray[np.generic]
    logits: NDArray[np.generic]
    classes: NDArray[np.int64]
    data: str

    @property
    def form(self) -> Form:
        """Which arithmetic the C is in."""
        return "int8" if self.face.output == "int8_t" else "float"


def measure(question: Question, target: Target, optimisation: str = "-Os") -> Measurement:
    """Compile a student's C for a target, run it there, and read off what it takes.

    Raises:
        InputError: when a tool is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        count = len(question.samples)
        made = build(question.source, question.face, target, count, optimisation, Path(folder))
        found = answers(made.program, question.face, target, question.samples, SECONDS)
    return Measurement(
        target=target.name,
        form=question.form,
        optimisation=optimisation,
        compiler=run([target.compiler, "--version"]).splitlines()[0],
        emulator=run([target.emulator[0], "--version"]).splitlines()[0] if target.bare else "",
        flash=made.student.flash,
        ram=made.student.ram,
        image_flash=made.image.flash,
        image_ram=made.image.ram,
        stack=found.stack,
        instructions=int(found.counts.max()) if target.bare else None,
        c_ms=None if target.bare else float(np.median(found.counts)) / 1e6,
        latency_ms=None,
        samples=len(found.logits),
        equal=int(_equal(found.logits, question.logits).all(1).sum()),
        answers_equal=int((found.logits.argmax(1) == question.classes).sum()),
        data=question.data,
    )


def _equal(logits: NDArray[np.generic], expected: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Whether logits are as expected: to the bit in int8, else but for another library's exp and order of sums."""
    if logits.dtype == np.int8:
        return np.asarray(logits == expected)
    limit = FLOAT_TOLERANCE * max(1.0, float(np.abs(expected).max()))
    return np.asarray(np.abs(logits.astype(np.float64) - expected.astype(np.float64)) <= limit)
