"""A quantised program's C source: constants and calls for the template of the same name."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.arena import Plan
from kd.deploy.c_layers import Layers, by_positions, channels_last
from kd.deploy.c_source import Source, at
from kd.deploy.integers import IntegerProgram, IntegerStage, Quantised


def int8_source(program: IntegerProgram, places: Plan) -> Source:
    """Constants and calls of a quantised program, its arena counted in bytes."""
    layers = _IntegerLayers()
    source, made = layers.source, program.input
    if program.program.sequences:
        source.array("input_mean", made.mean.numpy(), counted=False)
        source.array("input_factor", made.factor.numpy(), counted=False)
    else:
        source.array("input_multiplier", made.multiplier.numpy(), counted=False)
        source.array("input_bias", made.bias.numpy(), counted=False)
    for index, (quantised, place) in enumerate(zip(program.operations[:-1], places.places, strict=False), start=1):
        layers.current = quantised
        layers.write(quantised.operation, f"layer_{index}", place)
    layers.name, layers.current = "classifier", program.operations[-1]
    layers.add("weight", channels_last(layers.weight("weight")))
    source.call(f"return classify({layers.stages('sums')}, {at(places.places[-1].source)}, logits);")
    return source


class _IntegerLayers(Layers):
    current: Quantised

    def weight(self, name: str) -> Tensor:
        found = self.current.weights.get(name)
        return self.current.vectors[name] if found is None else found

    def add(self, name: str, values: Tensor) -> str:
        return self.source.array(f"{self.name}_{name.replace(' ', '_')}", values.numpy())

    def stages(self, name: str, applications: int = 1) -> str:
        stages = self.current.stages
        match name:
            case "gates":
                found = [stages[part] for part in ("mean", "squeeze", "excite", "out")]
            case "positions":
                found = [_by_positions(stages["sums"], self.current.operation.target)]
            case _:
                found = [stages[name]] if name in stages else []
        if not found:
            return "0"
        parts: list[str] = []
        for number, stage in enumerate(found):
            parts += self.stage(stage, f"{name}_{number}" if len(found) > 1 else name, applications)
        return self.source.structs("stage", f"{self.name}_{name.replace(' ', '_')}_stages", [[p] for p in parts])

    def stage(self, stage: IntegerStage, name: str, applications: int) -> list[str]:
        """Initialisers of a `struct stage`, one an application."""
        self.source.uses.add(stage.activation)
        tensors = {"multiplier": stage.multiplier, "bias": stage.bias, "slope": stage.slope}
        names = {part: self.add(f"{name}_{part}", t) for part, t in tensors.items() if t is not None}
        parts = []
        for application in range(applications):
            # one bias of several applications is that of the last, where a residual's norms leave it
            late = isinstance(self.current.operation, ops.Inverted) and application < applications - 1
            pointers = []
            for part, rows in (("multiplier", stage.multiplier), ("bias", stage.bias)):
                if rows is None or (late and len(rows) < applications):
                    pointers.append("0")
                else:
                    pointers.append(f"{names[part]} + {min(application, len(rows) - 1) * rows[0].numel()}")
            numbers = [_of(n, application) for n in (stage.add, stage.keep)]
            numbers += [_of(n, application) for n in (stage.in_zero, stage.add_zero, stage.zero)]
            numbers += [stage.shift, stage.fraction, stage.add_shift, stage.keep_shift]
            parts.append(", ".join([*pointers, names.get("slope", "0"), *map(str, numbers), stage.activation.upper()]))
        return parts

    def cell(self, op: ops.Scan, number: int) -> tuple[str, str]:
        kind = "closed_form" if isinstance(op.cells[number], ops.ClosedForm) else "time_constant"
        parts = self._closed_form(number) if kind == "closed_form" else self._time_constant(op, number)
        return kind, self.source.struct(kind, f"{self.name}_cell_{number}", parts)

    def _closed_form(self, number: int) -> list[str]:
        weights = [self.array(f"{name} {number}") for name in ("input", "recurrent")]
        stages = self.current.stages
        inner = [self.stage(stages[f"{name} {number}"], f"{name}_{number}_sums", 1) for name in ("input", "recurrent")]
        return [*weights, *(f"{{ {part[0]} }}" for part in inner)]

    def _time_constant(self, op: ops.Scan, number: int) -> list[str]:
        numbers, parts = self.current.numbers, []
        for name in ("sensory", "recurrent"):
            names = [self.array(f"{name} {number}")]
            names += [self.array(f"{name} {part} {number}") for part in ("argument", "conductance", "drive")]
            shifts = [numbers[f"{name} {part} {number}"] for part in ("left", "argument", "conductance", "drive")]
            parts.append(f"{{ {', '.join([*names, *map(str, shifts)])} }}")
        parts += [self.array(f"{name} {number}") for name in ("capacity", "leak", "rest")]
        parts.append(f"{{ {self.stage(self.current.stages[f'scale {number}'], f'scale_{number}', 1)[0]} }}")
        cell = op.cells[number]
        assert isinstance(cell, ops.TimeConstant)
        return [*parts, str(cell.unfolds), str(numbers[f"state {number}"])]


def _by_positions(stage: IntegerStage, target: tuple[int, int, int]) -> IntegerStage:
    assert stage.multiplier is not None and stage.bias is not None
    rows = [by_positions(part, target)[None] for part in (stage.multiplier, stage.bias)]
    return replace(stage, multiplier=rows[0], bias=rows[1])


def _of(numbers: Sequence[int], application: int) -> int:
    return numbers[min(application, len(numbers) - 1)]
