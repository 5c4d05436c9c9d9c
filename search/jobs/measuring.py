"""Measuring a trained student on processors: its C is written, compiled, run in an emulator, and read off."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kd.data.dataset import DataSet, load
from kd.deploy.c_code import float_code, int8_code
from kd.deploy.export import quantised
from kd.deploy.integers import IntegerProgram
from kd.deploy.interpret import run as interpret
from kd.deploy.latency import latency_ms
from kd.deploy.lower import lower
from kd.deploy.onnx import onnx_content
from kd.deploy.quantize import quantize
from kd.deploy.reference import answer
from kd.files import checksum
from kd.measure.build import Face
from kd.measure.measure import Question, measure
from kd.measure.measurement import Form, Measurement, keep, known
from kd.measure.target import Target
from kd.students.file import TrainedStudent, load_student
from space.errors import InputError
from studies.storage.directory import study_of
from studies.store import stored_config

MNIST = (1, 28, 28)
SAMPLES = 100
"""Samples that are answered in the emulator."""


def measure_student(
    path: Path, form: Form, targets: Sequence[Target], data: DataSet | None, optimisation: str = "-Os"
) -> list[Measurement]:
    """Measure a student's file on targets, and keep what was found beside it.

    Args:
        path: what `kd.students.file.save_student` wrote.
        form: which arithmetic its C is in.
        targets: the processors.
        data: the validation samples of these are answered, else noise.
        optimisation: the compiler's.

    Raises:
        InputError: when there is no student, or a tool fails.
    """
    student = load_student(path)
    samples = noise(student) if data is None else data.validation.images[:SAMPLES]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        asked = _question(path, form, samples, Path(folder), data)
        for target in targets:
            measured = measure(asked, target, optimisation)
            if not target.bare:
                measured = replace(measured, latency_ms=latency_ms(onnx_content(student), samples))
            keep(path, known(path, student.architecture.digest, checksum(path)).having(measured))
            found.append(measured)
    return found


def data_of(path: Path, name: str | None) -> DataSet | None:
    """Data that a student can be asked about: those named, those of its study, or MNIST if it learnt from it.

    Args:
        path: the student's file, in a study or elsewhere.
        name: name or path of a data set, read as the study reads its own.

    Raises:
        InputError: when the data named do not have the student's shape.
    """
    student, study = load_student(path), study_of(path)
    if study is not None:
        source = stored_config(study).data
        data = load(source if name is None else replace(source, name=name))
    elif name is not None:
        data = load(name)
    elif student.architecture.shape == MNIST:
        data = load("mnist")
        return data if student.data == data.digest else None
    else:
        return None
    if data.shape != student.architecture.shape:
        shape = student.architecture.shape
        raise InputError(f"{path} takes {shape}, {data.name} has {data.shape}: name its --data")
    return data


def noise(student: TrainedStudent) -> Tensor:
    """Random samples of a student's shape, the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    shape = SAMPLES, *student.architecture.shape
    if len(student.architecture.shape) == 3:
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    mean, std = torch.tensor(student.mean), torch.tensor(student.std)
    return torch.randn(shape, generator=generator) * std + mean


def integers_of(path: Path, data: DataSet | None) -> IntegerProgram:
    """A student's file in int8: its quantised twin, else calibrated on training samples, without data on noise."""
    return quantize(*quantised(path, calibration(load_student(path), data)))


def calibration(student: TrainedStudent, data: DataSet | None) -> Tensor:
    """Training samples to calibrate on; without data noise, which only the cost is true of."""
    return noise(student) if data is None else data.train.images


@torch.no_grad()
def _question(path: Path, form: Form, samples: Tensor, folder: Path, data: DataSet | None) -> Question:
    student = load_student(path)
    digest = student.architecture.digest
    if form == "float":
        program = lower(student)
        code, logits = float_code(program, samples[:1], f"Student {digest} in float"), interpret(program, samples)
    else:
        integers = integers_of(path, data)
        code, (_, logits) = int8_code(integers, samples[:1], f"Student {digest} in int8"), answer(integers, samples)
    code.write(folder)
    return Question(
        source=folder,
        face=Face(
            inputs=samples[0].numel(),
            outputs=student.architecture.classes,
            input="uint8_t" if samples.dtype == torch.uint8 else "float",
            output="int8_t" if form == "int8" else "float",
        ),
        samples=np.asarray(samples.flatten(1)),
        logits=np.asarray(logits),
        classes=np.asarray(student.predict(samples)),
        data="" if data is None else data.digest,
    )
