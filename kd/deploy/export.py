"""Files of a trained student for a device: ONNX in integers, and C, each in a folder that compiles by itself."""

import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path
from shutil import which

from torch import Tensor

from kd.deploy.c_code import HEADER, MAIN, SOURCE, CCode, float_code, int8_code
from kd.deploy.calibration import Calibration, calibrate
from kd.deploy.correction import corrected
from kd.deploy.int8_file import read_int8
from kd.deploy.lower import lower
from kd.deploy.onnx_int8 import export_int8_onnx
from kd.deploy.places import CODE, ONNX_INT8, Format, int8_path
from kd.deploy.program import Program
from kd.deploy.quantize import quantize
from kd.students.file import load_student
from kd.students.results import StudentResults
from space.errors import InputError

CALIBRATION = 512
"""Training samples that limits of activations are chosen on."""
COMPARED = 64
"""Samples that an ONNX file is compared on."""
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
"""Flags that C has to compile with."""


def quantised(weights: Path, calibration: Tensor) -> tuple[Program, Calibration]:
    """What a student's integers are made from: its quantised twin, else itself, calibrated on training samples.

    Args:
        weights: what `kd.students.file.save_student` wrote.
        calibration: training samples, for a student without a twin.

    Raises:
        InputError: where the twin is damaged, or gone.
    """
    twin = int8_path(weights)
    if twin.is_file():
        return read_int8(twin)
    if _is_told_of(weights):
        raise InputError(f"{twin} is missing, results.json tells of it: run its study again to make it anew")
    return calibrated(lower(load_student(weights)), calibration)


def _is_told_of(weights: Path) -> bool:
    """Whether `results.json` beside a student's file has the accuracy of its quantised twin."""
    path = weights.with_name("results.json")
    seeds = StudentResults.from_json(path).seeds if path.is_file() else ()
    return any(weights.stem == f"seed-{seed.seed}" and seed.int8_test is not None for seed in seeds)


def calibrated(program: Program, samples: Tensor) -> tuple[Program, Calibration]:
    """A program with limits of its activations, chosen on training samples, and its biases corrected for them."""
    calibration = calibrate(program, samples[:CALIBRATION])
    return corrected(program, calibration, samples), calibration


def student_code(weights: Path, form: Format, calibration: Tensor, sample: Tensor) -> CCode:
    """C of the student in a file, in float or in integers.

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
    return int8_code(quantize(*quantised(weights, calibration)), sample, f"Student {digest} in 8-bit integers")


def export_forms(
    weights: Path, folder: Path, formats: Collection[Format], calibration: Tensor, samples: Tensor
) -> list[str]:
    """Write a student's forms into a folder; returns the files' names.

    Args:
        weights: what `kd.students.file.save_student` wrote.
        folder: C goes into folders below it that are named after the formats.
        formats: what is written.
        calibration: training samples, for a student without a twin.
        samples: some to compare ONNX on; the first is that of the C's main program.
    """
    names = []
    if "onnx-int8" in formats:
        made = quantised(weights, calibration)
        export_int8_onnx(load_student(weights), *made, folder / ONNX_INT8, samples[:COMPARED])
        names.append(ONNX_INT8)
    for form in CODE:
        if form in formats:
            student_code(weights, form, calibration, samples[:1]).write(folder / form)
            names += [f"{form}/{name}" for name in (HEADER, SOURCE, MAIN)]
    return names


def known_answer(folder: Path) -> tuple[bool, str]:
    """Whether the C in a folder compiles without a warning and answers its sample as known; in words too.

    It is compiled for speed and for size, since a compiler's faults belong to one of them; without gcc it is not.
    """
    compiler = which("gcc")
    if compiler is None:
        return True, "not compiled: there is no gcc"
    sources = [str(folder / name) for name in (SOURCE, MAIN)]
    with tempfile.TemporaryDirectory() as scratch:
        program = str(Path(scratch) / "student")
        for level in ("-O2", "-Os"):
            built = subprocess.run([compiler, *STRICT, level, *sources, "-o", program, "-lm"], capture_output=True)
            if built.returncode:
                said = built.stderr.decode(errors="replace").splitlines() or [""]
                return False, f"gcc {level} cannot compile it: {next((s for s in said if 'error' in s), said[0])}"
            if subprocess.run([program], capture_output=True).returncode:
                return False, f"another answer to its sample than the known one by gcc {level}"
    return True, "answers its sample as known"
