"""A quantised student as one safetensors file: its constants before rounding, how activations are kept, its scores."""

import json
import struct
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kd.deploy.calibration import Calibration
from kd.deploy.integers import IntegerProgram, Quantisation
from kd.deploy.interpret import Site
from kd.deploy.lower import lower
from kd.deploy.program import Program, tensors
from kd.deploy.quantize import quantize
from kd.files import FORMAT, check_format, write_whole
from kd.students.file import TrainedStudent, tensors_checksum
from kd.students.scores import Scores
from space.architecture import Architecture, from_json
from space.errors import InputError
from space.network import build


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Scores:
    """What a quantised student reaches on the test split; `tuned` is how many passes it was fine-tuned for.

    `validation` is the share of validation samples that it gets right, rounded as int8 rounds, in floating point.
    """

    test: Scores
    validation: float
    tuned: int


def save_int8(
    path: Path, program: Program, calibration: Calibration, architecture: Architecture, scores: Int8Scores | None
) -> None:
    """Write a quantised student to `path`, whole or not at all."""
    about = {
        "format": FORMAT,
        "architecture": architecture.to_dict(),
        "kept": [[*site, kept.scale, kept.zero] for site, kept in calibration.kept.items()],
        "largest": [[*site, value] for site, value in calibration.largest.items()],
        "scores": None if scores is None else asdict(scores),
    }
    constants = {f"{number:03}": tensor.detach() for number, tensor in enumerate(tensors(program.operations))}
    constants |= {"scale": program.scale, "shift": program.shift}
    kept = {name: tensor.contiguous() for name, tensor in constants.items()}
    write_whole(path, save(kept, {"int8": json.dumps(about | {"checksum": tensors_checksum(kept)})}))


def load_int8(path: Path) -> IntegerProgram:
    """The integers of what `save_int8` wrote; raises InputError for any other file."""
    return quantize(*read_int8(path))


def read_int8(path: Path) -> tuple[Program, Calibration]:
    """What `save_int8` wrote, before rounding; raises InputError for any other file."""
    try:
        with safe_open(path, framework="pt") as archive:
            about = json.loads((archive.metadata() or {})["int8"])
            found = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        check_format(path, about["format"])
        if about["checksum"] != tensors_checksum(found):
            raise ValueError("its constants are not those that were written")
        program = _program(from_json(json.dumps(about["architecture"])), found)
        kept: dict[Site, Quantisation] = {
            (index, name, application): Quantisation(scale=scale, zero=zero)
            for index, name, application, scale, zero in about["kept"]
        }
        largest: dict[Site, float] = {(index, name, number): value for index, name, number, value in about["largest"]}
        calibration = Calibration(kept=kept, largest=largest)
        quantize(program, calibration)  # raises for one that does not belong to the program
        return program, calibration
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise _foreign(path, error) from error


def _program(architecture: Architecture, found: dict[str, Tensor]) -> Program:
    """The program of an architecture with these constants."""
    with torch.random.fork_rng(devices=[]):
        module = build(architecture).eval()
    channels = len(found["scale"])
    student = TrainedStudent(
        module=module,
        architecture=architecture,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        data="",
        parameters=0,
    )
    constants = iter(sorted(name for name in found if name.isdigit()))

    def stored(tensor: Tensor) -> Tensor:
        value = found[next(constants)]
        if value.shape != tensor.shape:
            raise ValueError(f"a constant has the shape {tuple(value.shape)}, not {tuple(tensor.shape)}")
        return value

    return replace(lower(student).map(stored), scale=found["scale"], shift=found["shift"])


def int8_scores(path: Path) -> Int8Scores | None:
    """Scores that a file holds, read from its first bytes alone; None where there is no whole file or no scores."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        about = json.loads(header["__metadata__"]["int8"])
        if about["format"] != FORMAT or about["scores"] is None:
            return None
        scores, test = about["scores"], about["scores"]["test"]
        return Int8Scores(**scores | {"test": Scores(**test | {"recalls": tuple(test["recalls"])})})
    except (OSError, struct.error, ValueError, KeyError, TypeError, MemoryError, OverflowError):
        return None


def is_int8(path: Path) -> bool:
    """Whether a file is there and holds a whole quantised student with its scores."""
    if int8_scores(path) is None:
        return False
    try:
        load_int8(path)
    except InputError:
        return False
    return True


def _foreign(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(f"cannot read a quantised student from {path} ({reason}): run its study again to make it anew")
