"""Files of a trained student for a device: C in float and in integers, each in a folder that compiles by itself."""

import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path
from shutil import which

from torch import Tensor

from kd.deploy.c_code import HEADER, MAIN, SOURCE, CCode, float_code, int8_code
from kd.deploy.calibration import calibrate
from kd.deploy.int8_file import load_int8
from kd.deploy.integers import IntegerProgram
from kd.deploy.lower import lower
from kd.deploy.places import Format, int8_path
from kd.deploy.quantize import quantize
from kd.students.file import TrainedStudent, load_student

CALIBRATION = 512
"""Training samples that limits of activations are chosen on."""


def integer_program(student: TrainedStudent, samples: Tensor) -> IntegerProgram:
    """A student in integers, its activations kept as the first `CALIBRATION` training samples ask for."""
    program = lower(student)
    return quantize(program, calibrate(program, samples[:CALIBRATION]))


def student_code(weights: Path, form: Format, calibration: Tensor, sample: Tensor) -> CCode:
    """C of the student in a file; in integers of its quantised twin, if one lies beside it.

    Args:
        weights: what `kd.students.file.save_student` wrote.
        form: in float or in integers.
        calibration: training samples, for a student without a twin.
        sample: (1, …), the main program's.
    """
    student = load_student(weights)
    digest = student.architecture.digest
    if form == "c":
        return float_code(lower(student), sample, f"Student {digest} in float")
    twin = int8_path(weights)
    program = load_int8(twin) if twin.is_file() else integer_program(student, calibration)
    return int8_code(program, sample, f"Student {digest} in 8-bit integers")


def export_c(
    weights: Path, folder: Path, formats: Collection[Format], calibration: Tensor, sample: Tensor
) -> list[str]:
    """Write a student's C into folders named after the formats; returns the files' names. Arguments: `student_code`."""
    names = []
    for form in formats:
        student_code(weights, form, calibration, sample).write(folder / form)
        names += [f"{form}/{name}" for name in (HEADER, SOURCE, MAIN)]
    return names


def answers_known_sample(folder: Path) -> bool | None:
    """Whether the C in a folder compiles without a warning and answers its sample as known; None without gcc."""
    compiler = which("gcc")
    if compiler is None:
        return None
    flags = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1")
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "student"
        sources = [str(folder / name) for name in (SOURCE, MAIN)]
        built = subprocess.run([compiler, *flags, *sources, "-o", str(program), "-lm"], capture_output=True)
        return built.returncode == 0 and subprocess.run([program], capture_output=True).returncode == 0
