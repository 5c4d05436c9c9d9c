"""Correction of biases: rounding shifts the mean of a layer's sums, which its bias takes back (Nagel et al. 2019, 4.2).

An image's background is one value at hundreds of positions, so that its rounding error does not average out: it moves
the sums of every layer behind it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.calibration import Calibration, Rounding
from kd.deploy.interpret import Floating, Site, Watcher, run
from kd.deploy.program import Program, Stage

SAMPLES = 256
"""Training samples that means are taken over."""
STAGES: Mapping[type[ops.Operation], Mapping[str, str]] = {
    ops.Convolution: {"sums": "stage"},
    ops.Separable: {"sums": "stage"},
    ops.Inverted: {"expand": "expand_stage", "depthwise": "depthwise_stage", "sums": "project_stage"},
    ops.Gates: {"squeeze": "squeeze_stage", "excite": "excite_stage"},
}
"""Stages that are corrected, by the names of their sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """Takes the mean of every channel's sums under another watcher."""

    under: Watcher
    total: dict[Site, Tensor] = field(default_factory=dict)
    count: dict[Site, int] = field(default_factory=dict)

    def activation(self, site: Site, values: Tensor) -> Tensor:
        return self.under.activation(site, values)

    def weight(self, index: int, name: str, values: Tensor) -> Tensor:
        return self.under.weight(index, name, values)

    def sums(self, site: Site, values: Tensor) -> Tensor:
        others = [axis for axis in range(values.ndim) if axis != 1]
        self.total[site] = self.total.get(site, torch.zeros(())) + values.double().sum(others)
        self.count[site] = self.count.get(site, 0) + values.numel() // values.shape[1]
        return self.under.sums(site, values)

    def sigmoid(self, values: Tensor) -> Tensor:
        return self.under.sigmoid(values)

    def of(self, site: Site) -> Tensor:
        return self.total[site] / self.count[site]


@torch.no_grad()
def corrected(program: Program, calibration: Calibration, samples: Tensor) -> Program:
    """A program whose sums, rounded as int8 rounds them, have the means that they have in float.

    Stages are corrected in the order in which they run, each with those before it corrected.

    Args:
        program: in float.
        calibration: how its activations are kept.
        samples: training samples, as a `kd.data.dataset.Split` has them.
    """
    samples, rounding = samples[:SAMPLES], Rounding(calibration=calibration)
    wanted, operations = _means(program, Floating(), samples), list(program.operations)
    for (index, name, application), part, row in _shifts(program):
        found = _means(replace(program, operations=tuple(operations)), rounding, samples)
        stage: Stage = getattr(operations[index], part)
        assert stage.shift is not None
        site, shift = (index, name, application), stage.shift.clone()
        shift[row] += (wanted.of(site) - found.of(site)).to(shift.dtype)
        changed: dict[str, Any] = {part: replace(stage, shift=shift)}
        operations[index] = replace(operations[index], **changed)
    return replace(program, operations=tuple(operations))


def _shifts(program: Program) -> Iterator[tuple[Site, str, int]]:
    """Every shift that can be corrected, as it comes: the site of its sums, the stage's name, the row of the shift."""
    for index, operation in enumerate(program.operations):
        applications = getattr(operation, "applications", 1)
        for application in range(applications):
            for name, part in STAGES.get(type(operation), {}).items():
                shift = getattr(operation, part).shift
                # a single row is added by the last application alone
                if shift is not None and (len(shift) == applications or application == applications - 1):
                    yield (index, name, application), part, min(application, len(shift) - 1)


def _means(program: Program, under: Watcher, samples: Tensor) -> _Means:
    means = _Means(under=under)
    for part in samples.split(64):
        run(program, part, means)
    return means
