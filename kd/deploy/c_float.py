"""A program's C source in float: constants and calls for the template of the same name."""

from dataclasses import replace

import torch
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.arena import Plan
from kd.deploy.c_layers import Layers, by_positions, channels_last
from kd.deploy.c_source import Source, at
from kd.deploy.program import Program, Stage


def float_source(program: Program, places: Plan) -> Source:
    """Constants and calls of a program, its arena counted in floats."""
    layers = _FloatLayers()
    source = layers.source
    for name, values in (("input_scale", program.scale), ("input_shift", program.shift)):
        source.array(name, values.numpy(), counted=False)
    for index, (operation, place) in enumerate(zip(program.operations[:-1], places.places, strict=False), start=1):
        layers.current = operation
        layers.write(operation, f"layer_{index}", place)
    classifier = program.operations[-1]
    assert isinstance(classifier, ops.Convolution) and classifier.stage.shift is not None
    layers.name = "classifier"
    layers.add("weight", channels_last(classifier.weight))
    layers.add("bias", classifier.stage.shift)
    source.enter(places.places[-1], classifier.weight[0].numel())
    source.call(f"return classify({at(places.places[-1].source)}, logits);")
    return source


class _FloatLayers(Layers):
    current: ops.AnyOperation

    def weight(self, name: str) -> Tensor:
        part, _, rest = name.partition(" ")
        value = getattr(self.current, part)
        found: Tensor = getattr(value, rest) if rest else value
        return found.transpose(1, 2) if name == "column" else found

    def add(self, name: str, values: Tensor) -> str:
        return self.source.array(f"{self.name}_{name.replace(' ', '_')}", values.detach().numpy())

    def stages(self, name: str, applications: int = 1) -> str:
        found = [stage for stage in self._found(name) if stage is not None]
        if not found:
            return "0"
        parts: list[tuple[str, ...]] = []
        for number, stage in enumerate(found):
            parts += self._stage(stage, f"{name}_{number}" if len(found) > 1 else name, applications)
        return self.source.structs("stage", f"{self.name}_{name.replace(' ', '_')}_stages", parts)

    def _found(self, name: str) -> list[Stage | None]:
        """Stages of the current operation by the names that integers have, too."""
        match self.current:
            case ops.Convolution(stage=stage) | ops.Separable(stage=stage):
                return [stage if name == "sums" else None]
            case ops.Inverted() as op:
                by_name = {"expand": op.expand_stage, "depthwise": op.depthwise_stage, "sums": op.project_stage}
                return [by_name[name]]
            case ops.Gates() as op:
                return [op.squeeze_stage, op.excite_stage]
            case ops.RowColumn(stage=stage, target=target) if name == "positions":
                assert stage.scale is not None and stage.shift is not None
                scale, shift = (by_positions(values, target)[None] for values in (stage.scale, stage.shift))
                return [replace(stage, scale=scale, shift=shift)]
            case ops.Mixer() as op:
                kind, _, part = name.partition(" ")
                mixing = op.token if kind == "token" else op.channel
                shared = mixing.first_stage if part == "first" else mixing.second_stage
                return [mixing.norm if part == "norm" else shared]
            case _:
                return [None]

    def _stage(self, stage: Stage, name: str, applications: int) -> list[tuple[str, ...]]:
        self.source.uses.add(stage.activation)
        tensors = {"scale": stage.scale, "shift": stage.shift, "slope": stage.slope}
        names = {part: self.add(f"{name}_{part}", t) for part, t in tensors.items() if t is not None}
        parts = []
        for application in range(applications):
            # one shift of several applications is that of the last, where a residual's norms leave it
            late = isinstance(self.current, ops.Inverted) and application < applications - 1
            pointers = []
            for part in ("scale", "shift"):
                rows = tensors[part]
                if rows is None or (late and len(rows) < applications):
                    pointers.append("0")
                else:
                    pointers.append(f"{names[part]} + {min(application, len(rows) - 1) * rows[0].numel()}")
            parts.append((*pointers, names.get("slope", "0"), stage.activation.upper()))
        return parts

    def cell(self, op: ops.Scan, number: int) -> tuple[str, str]:
        cell = op.cells[number]
        if isinstance(cell, ops.ClosedForm):
            kind = "closed_form"
            parts = [self.add(f"{name}_{number}", getattr(cell, name)) for name in ("input", "recurrent", "bias")]
        else:
            kind = "time_constant"
            tensors = {
                "scale": cell.scale,
                "shift": cell.shift,
                "sensory": _by_target(cell.sensory),
                "recurrent": _by_target(cell.recurrent),
                "capacity": cell.capacity,
                "leak": cell.leak,
                "rest": cell.rest,
            }
            parts = [self.add(f"{name}_{number}", values) for name, values in tensors.items()] + [str(cell.unfolds)]
        return kind, self.source.struct(kind, f"{self.name}_cell_{number}", parts)


def _by_target(of: ops.Synapses) -> Tensor:
    """Steepness, offset, conductance and drive of every synapse, target by target."""
    return torch.stack([part.T for part in (of.steepness, of.offset, of.conductance, of.drive)], dim=-1)
