"""A quantised student as an ONNX file: 8-bit weights and activations between QuantizeLinear and DequantizeLinear.

What lies between two roundings is computed in floating point, where the C has fixed-point numbers: of the same inputs a
layer makes the same activations, but for one step of the one in thousands that lies near the middle of two. Layers
behind it may enlarge that, as they enlarge rounding itself. Gates come from the table that the C has, what the C keeps
in 16 bits is rounded as there; LTC cells alone stay in floating point.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.onnx.ops import symbolic

from kd.data.dataset import values
from kd.deploy.calibration import FINE, Calibration
from kd.deploy.integers import IntegerProgram, integer_weight, scale_axes
from kd.deploy.interpret import Floating, Site, run
from kd.deploy.onnx import OUTPUT, Exported, ExportError, exported, open_session
from kd.deploy.program import Program, has_time_constants
from kd.deploy.quantize import quantize
from kd.deploy.reference import answer
from kd.deploy.tables import TABLE, interpolated
from kd.files import write_whole
from kd.students.file import TrainedStudent

IN_FLOAT = "float"
"""Key of the model's metadata that names what stays in floating point."""
FAR = 0.1
"""Most that logits may be from those of the reference, root mean square, as a share of their standard deviation."""


class _Rounded(Exported):
    """A program whose activations and weights are kept in 8 bits, as its graph says."""

    table: Tensor

    def __init__(self, student: TrainedStudent, program: Program, calibration: Calibration) -> None:
        super().__init__(student, program)
        self.calibration = calibration
        self.last: Site = (len(program.operations) - 1, "out", 0)
        self.register_buffer("table", torch.tensor(TABLE, dtype=torch.int32))
        found = _Weights()
        run(program, torch.zeros(1, *student.architecture.shape), found)
        for name, (whole, scale) in found.kept.items():
            self.register_buffer(f"{name}_int8", whole)
            self.register_buffer(f"{name}_scale", scale)

    def watcher(self) -> "_Rounded":
        """Itself."""
        return self

    def activation(self, site: Site, x: Tensor) -> Tensor:
        """Activations rounded; logits as they are, of which the largest may be near others."""
        if site == self.last or (site[1] == "state" and has_time_constants(self.program.operations[site[0]])):
            return x
        if site[1] in FINE:
            scale = self.calibration.fine(site[0], site[1]).scale
            return torch.round(x / scale).clamp(-(2**15), 2**15 - 1) * scale
        kept = self.calibration.kept[site]
        ends = torch.tensor(kept.scale), torch.tensor(kept.zero, dtype=torch.int8)
        if site[1] == "pool":
            x = x + kept.scale / 64  # halves are rounded up, as the C rounds them
        whole = symbolic("QuantizeLinear", (x, *ends), dtype=torch.int8, shape=x.shape)
        return symbolic("DequantizeLinear", (whole, *ends), dtype=torch.float32, shape=x.shape)

    def sums(self, site: Site, x: Tensor) -> Tensor:
        """The values."""
        return x

    def weight(self, index: int, name: str, x: Tensor) -> Tensor:
        """A weight from its integers, a scale an output channel."""
        whole, scale = (getattr(self, f"{_weight_name(index, name)}_{part}") for part in ("int8", "scale"))
        wide = symbolic("DequantizeLinear", (whole, scale), {"axis": 0}, dtype=torch.float32, shape=whole.shape)
        return wide.reshape(x.shape)

    def sigmoid(self, x: Tensor) -> Tensor:
        """Gates from the table."""
        return interpolated(x, self.table)


class _Weights(Floating):
    """Sees every weight of a program, and quantises it."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Tensor, Tensor]] = {}

    def weight(self, index: int, name: str, values: Tensor) -> Tensor:
        axes = scale_axes(name)
        whole, scale = integer_weight(values, axes)
        self.kept[_weight_name(index, name)] = whole.flatten(0, axes - 1), scale.flatten().float()
        return values


def _weight_name(index: int, name: str) -> str:
    return f"operation_{index}_{name.replace(' ', '_')}"


def int8_onnx_content(student: TrainedStudent, program: Program, calibration: Calibration) -> bytes:
    """A student, the program it was quantised from, and how its activations are kept, as an ONNX model.

    The model takes what the float one takes, and gives logits as sums before their last rounding.
    """
    about = {IN_FLOAT: "LTC cells"} if any(map(has_time_constants, program.operations)) else {}
    return exported(_Rounded(student, program, calibration), student, about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far an int8 ONNX model is from the integer reference.

    `far` is the root mean square of the logits' differences as a share of their standard deviation, `within` the share
    of logits within one step, `alike` that of samples with the same answer.
    """

    far: float
    within: float
    alike: float


def compare_int8(content: bytes, program: IntegerProgram, samples: Tensor) -> Agreement:
    """Run an int8 ONNX model and its reference on samples of a `kd.data.dataset.Split`."""
    session = open_session(content)
    taken = session.get_inputs()[0].name
    found = torch.cat(
        [torch.from_numpy(session.run([OUTPUT], {taken: values(part).numpy()})[0]) for part in samples.split(250)]
    )
    answers, whole = answer(program, samples)
    steps = (found.double() / program.logits.scale + program.logits.zero).clamp(-128, 127)
    away = steps - whole.double()
    return Agreement(
        far=float(away.square().mean().sqrt() / whole.double().std().clamp_min(1e-9)),
        within=float((away.abs() <= 1).double().mean()),
        alike=float((found.argmax(1) == answers).double().mean()),
    )


def export_int8_onnx(
    student: TrainedStudent, program: Program, calibration: Calibration, path: Path, samples: Tensor
) -> None:
    """Write a quantised student as `path`, whole or not at all, once it agrees with the integer reference.

    Args:
        student: the original.
        program: it was quantised from.
        calibration: how its activations are kept.
        path: the file to write.
        samples: at least 16 of a `kd.data.dataset.Split`'s to compare on.

    Raises:
        ExportError: when logits are further from the reference's than `FAR`.
    """
    content = int8_onnx_content(student, program, calibration)
    found = compare_int8(content, quantize(program, calibration), samples)
    if not found.far <= FAR:
        raise ExportError(f"{path.name}: logits are {found.far:.2g} deviations from those of the C, limit {FAR}")
    write_whole(path, content)
