"""From a program and its calibration to integers (Jacob et al. 2018; weights per channel: Krishnamoorthi 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.calibration import Calibration
from kd.deploy.integers import (
    IntegerInput,
    IntegerProgram,
    IntegerStage,
    Quantisation,
    Quantised,
    Sums,
    integer_stage,
    integer_weight,
    kept_stage,
    multipliers,
)
from kd.deploy.program import Program, Stage
from kd.deploy.quantize_cells import quantised_scan

LINEAR = Stage(scale=None, shift=None)


def quantize(program: Program, calibration: Calibration) -> IntegerProgram:
    """A program in integers."""
    before = source = calibration.kept[-1, "input", 0]
    operations = []
    for index, operation in enumerate(program.operations):
        maker = _Maker(calibration=calibration, index=index, before=before)
        operations.append(maker.quantised(operation))
        before = maker.after(operation)
    return IntegerProgram(program=program, input=_input(program, source), operations=tuple(operations), logits=before)


def _input(program: Program, kept: Quantisation) -> IntegerInput:
    scale, shift = program.scale.double(), program.shift.double()
    factors, right = multipliers(scale / kept.scale)
    return IntegerInput(
        quantisation=kept,
        multiplier=factors,
        bias=torch.round(shift / kept.scale + kept.zero).to(torch.int32),
        shift=right,
        mean=(-shift / scale).float(),
        factor=(256 * scale / kept.scale).float(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Makes one operation; `before` is how its input is kept."""

    calibration: Calibration
    index: int
    before: Quantisation

    def quantised(self, operation: ops.AnyOperation) -> Quantised:
        match operation:
            case ops.Convolution():
                return self.convolution(operation)
            case ops.Separable():
                return self.separable(operation)
            case ops.Inverted():
                return self.inverted(operation)
            case ops.Pool():
                return Quantised(operation=operation)
            case ops.GlobalAverage():
                factor = self.before.scale / (operation.source[1] * operation.source[2])
                return Quantised(
                    operation=operation, stages={"out": kept_stage([factor], [self.before], [self.kept("out")])}
                )
            case ops.Gates():
                return self.gates(operation)
            case ops.RowColumn():
                return self.row_column(operation)
            case ops.Mixer():
                return self.mixer(operation)
            case ops.Scan():
                return quantised_scan(operation, self.before, self.kept("out"), self.largest("state"))

    def after(self, operation: ops.AnyOperation) -> Quantisation:
        """How the output of an operation is kept."""
        match operation:
            case ops.Pool():
                return self.before
            case ops.Mixer(applications=applications):
                return self.kept("channel out", applications - 1)
            case ops.Convolution() | ops.Separable() | ops.Inverted():
                return self.kept("out", operation.applications - 1)
            case _:
                return self.kept("out")

    def kept(self, name: str, application: int = 0) -> Quantisation:
        return self.calibration.kept[self.index, name, application]

    def outs(self, applications: int, name: str = "out") -> list[Quantisation]:
        return [self.kept(name, application) for application in range(applications)]

    def largest(self, name: str, applications: int = 1) -> float:
        return max(self.calibration.largest[self.index, name, application] for application in range(applications))

    def states(self, applications: int) -> list[Quantisation]:
        """How the input of every application is kept."""
        return [self.before, *self.outs(applications - 1)]

    def sums(
        self,
        inputs: Sequence[Quantisation],
        weight: Tensor,
        scale: Tensor,
        name: str,
        applications: int,
        most: int = 255,
    ) -> Sums:
        """Sums of inputs times an integer weight, output channels first."""
        largest = self.largest(name, applications)
        outs = [value for site, value in self.calibration.largest.items() if site[:2] == (self.index, "out")]
        return Sums(
            unit=torch.stack([x.scale * scale for x in inputs]),
            bound=most * weight.double().abs().flatten(1).sum(1),
            largest=max(largest, *outs, 0.0),
            inputs=tuple(inputs),
        )

    def convolution(self, op: ops.Convolution) -> Quantised:
        count = op.applications
        weight, scale = integer_weight(op.weight)
        states = self.states(count)
        sums = self.sums(states if op.stage.scale is not None else states[:1], weight, scale, "sums", count)
        vectors: dict[str, Tensor] = {}
        if op.combine == "liquid":
            assert op.reversal is not None and op.rate is not None
            sums = replace(sums, largest=max(sums.largest, float(op.rate.max()) + 1, float(op.reversal.abs().max())))
        added = states if op.combine != "replace" else ()
        stage = integer_stage(op.stage, sums, self.outs(count), added)
        if op.reversal is not None and op.rate is not None:
            vectors = {"reversal": _fixed(op.reversal, stage.fraction), "rate": _fixed(op.rate, stage.fraction)}
        return Quantised(operation=op, weights={"weight": weight}, stages={"sums": stage}, vectors=vectors)

    def separable(self, op: ops.Separable) -> Quantised:
        count, states, middles = op.applications, self.states(op.applications), self.outs(op.applications, "middle")
        depthwise, scale = integer_weight(op.depthwise)
        # the kernels' scales once: those of the inputs are in what is kept
        sums = Sums(
            unit=scale[None],
            bound=255 * depthwise.double().abs().flatten(1).sum(1),
            largest=max(self.largest("middle", count) / min(x.scale for x in states), 1e-6),
            inputs=tuple(states),
        )
        middle = integer_stage(
            LINEAR, sums, [replace(q, scale=q.scale / x.scale) for q, x in zip(middles, states, strict=True)]
        )
        pointwise, scale = integer_weight(op.pointwise)
        added = states if op.combine == "add" else ()
        sums = self.sums(middles if op.stage.scale is not None else middles[:1], pointwise, scale, "sums", count)
        return Quantised(
            operation=op,
            weights={"depthwise": depthwise, "pointwise": pointwise},
            stages={"middle": middle, "sums": integer_stage(op.stage, sums, self.outs(count), added)},
        )

    def inverted(self, op: ops.Inverted) -> Quantised:
        count, states = op.applications, self.states(op.applications)
        wides, middles = self.outs(count, "wide"), self.outs(count, "middle")
        weights, stages = {}, {}
        for name, site, stage, inputs, kept in (
            ("expand", "expand", op.expand_stage, states, wides),
            ("depthwise", "depthwise", op.depthwise_stage, wides, middles),
            ("project", "sums", op.project_stage, middles, self.outs(count)),
        ):
            weights[name], scale = integer_weight(getattr(op, name))
            sums = self.sums(inputs if stage.scale is not None else inputs[:1], weights[name], scale, site, count)
            stages[site] = integer_stage(stage, sums, kept, states if name == "project" else ())
        return Quantised(operation=op, weights=weights, stages=stages)

    def gates(self, op: ops.Gates) -> Quantised:
        mean, hidden, gate = (self.calibration.fine(self.index, name) for name in ("mean", "hidden", "gate"))
        squeeze, scale = integer_weight(op.squeeze)
        first = self.sums([mean], squeeze, scale, "squeeze", 1, most=255 * 32)
        excite, scale = integer_weight(op.excite)
        second = self.sums([hidden], excite, scale, "excite", 1, most=2**15)
        positions = op.source[1] * op.source[2]
        out = self.kept("out")
        stages = {
            "mean": kept_stage([self.before.scale / positions], [self.before], [mean]),
            "squeeze": integer_stage(op.squeeze_stage, first, [hidden]),
            "excite": integer_stage(op.excite_stage, second, [gate]),
            "out": kept_stage([self.before.scale * gate.scale], [self.before], [out]),
        }
        return Quantised(operation=op, weights={"squeeze": squeeze, "excite": excite}, stages=stages)

    def row_column(self, op: ops.RowColumn) -> Quantised:
        channels, rows, columns = op.target
        column, scale = integer_weight(op.column.transpose(1, 2), axes=2)
        middle = self.calibration.fine(self.index, "column")
        factors, shift = multipliers((self.before.scale * scale / middle.scale).flatten()[None])
        first = IntegerStage(multiplier=factors, shift=shift, in_zero=(self.before.zero,))
        row, scale = integer_weight(op.row, axes=2)  # (pairs, rows)
        bound = 2**15 * row.double().abs().sum(2)
        unit, bound = (
            part.expand(channels, rows)[:, :, None].expand(channels, rows, columns).flatten()
            for part in (middle.scale * scale, bound)
        )
        largest = max(self.largest("sums"), self.largest("out"))
        sums = Sums(unit=unit[None], bound=bound, largest=largest, inputs=(Quantisation(scale=1.0),))
        stage = integer_stage(op.stage, sums, [self.kept("out")], [self.before] if op.residual else ())
        return Quantised(operation=op, weights={"row": row, "column": column}, stages={"column": first, "sums": stage})

    def mixer(self, op: ops.Mixer) -> Quantised:
        weights: dict[str, Tensor] = {}
        stages: dict[str, IntegerStage] = {}
        tokens, channels = self.outs(op.applications, "token out"), self.outs(op.applications, "channel out")
        for name, mixing, before, after in (
            ("token", op.token, [self.before, *channels[:-1]], tokens),
            ("channel", op.channel, tokens, channels),
        ):
            hidden, vector = self.kept(f"{name} hidden"), before[0]
            if mixing.norm is not None:
                vector = self.kept(f"{name} norm")
                ones = torch.ones(op.source[0]).double()
                sums = Sums(
                    unit=torch.stack([x.scale * ones for x in before]),
                    bound=255 * ones,
                    largest=self.largest(f"{name} norm"),
                    inputs=tuple(before),
                )
                stages[f"{name} norm"] = integer_stage(mixing.norm, sums, [vector])
            first, scale = integer_weight(mixing.first)
            sums = self.sums([vector], first, scale, f"{name} first", 1)
            stages[f"{name} first"] = integer_stage(mixing.first_stage, sums, [hidden])
            second, scale = integer_weight(mixing.second)
            sums = self.sums([hidden], second, scale, f"{name} second", 1)
            sums = replace(sums, largest=max(sums.largest, self.largest(f"{name} out", op.applications)))
            stages[f"{name} second"] = integer_stage(mixing.second_stage, sums, after, before)
            weights |= {f"{name} first": first, f"{name} second": second}
        return Quantised(operation=op, weights=weights, stages=stages)


def _fixed(values: Tensor, fraction: int) -> Tensor:
    return torch.round(values.double() * 2.0**fraction).to(torch.int32)
