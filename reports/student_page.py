"""A student as a page that needs nothing else: layers, figures, and a field to try it, in its integer arithmetic."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kd.deploy.reference import answer
from kd.measure.measurement import Measurement
from reports.facts.formats import count
from reports.facts.integer_json import array_json, integer_json
from reports.facts.layers import Layer, layers_of
from reports.facts.student_facts import StudentFacts
from reports.render import render

VECTORS = 16
"""Samples that a page holds, with the answers of the reference that it is checked by."""
CANVAS = 280
"""Length of the canvas's longer side [pixels]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the template takes."""

    title: str
    headline: str
    shape: tuple[int, ...]
    canvas: tuple[int, int]
    figures: Sequence[tuple[str, str]]
    layers: Sequence[Layer]
    measurements: Sequence[Measurement]
    data: str

    @property
    def sequences(self) -> bool:
        """Whether it takes sequences."""
        return len(self.shape) == 2

    @property
    def drawn(self) -> bool:
        """Whether what it takes can be drawn in white."""
        return len(self.shape) == 3 and self.shape[0] == 1

    @property
    def centred(self) -> bool:
        """Whether what is drawn is centred as MNIST's digits are."""
        return self.shape == (1, 28, 28)


def student_page(facts: StudentFacts) -> str:
    """The page's HTML."""
    architecture = facts.student.architecture
    height, width = (1, 1) if len(architecture.shape) == 2 else architecture.shape[1:]
    times = max(1, CANVAS // max(height, width))
    reached = f", {facts.accuracy} on the test split of {facts.data_name}" if facts.accuracy else ""
    page = Page(
        title=f"Student {architecture.digest}",
        headline=f"{count(architecture.cost().parameters)} parameters{reached}",
        shape=architecture.shape,
        canvas=(times * width, times * height),
        figures=facts.figures(),
        layers=layers_of(architecture),
        measurements=facts.in_emulators,
        # nothing in it may end the script that it lies in
        data=json.dumps(_data(facts), separators=(",", ":")).replace("<", "\\u003c"),
    )
    return render("student.html", page=page)


def _data(facts: StudentFacts) -> dict[str, Any]:
    """What the page computes with."""
    samples = facts.samples[:VECTORS]
    answers, logits = answer(facts.program, samples)
    vectors = [
        {"sample": array_json(sample), "answer": int(found), "logits": row.tolist()}
        for sample, found, row in zip(samples, answers, logits, strict=True)
    ]
    return {
        "shape": facts.student.architecture.shape,
        "names": facts.names,
        "program": integer_json(facts.program),
        "vectors": vectors,
    }
