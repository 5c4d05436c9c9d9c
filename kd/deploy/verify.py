"""Whether what was exported of a student holds what it says: ONNX, int8 accuracies, bytes, C and its known answer."""

from collections.abc import Iterator
from pathlib import Path

import onnx

from kd.data.dataset import DataSet
from kd.deploy.c_code import HEADER, MAIN, SOURCE
from kd.deploy.export import known_answer, quantised, student_code
from kd.deploy.int8_file import int8_scores, load_int8
from kd.deploy.onnx import compare, stored_values
from kd.deploy.onnx_int8 import FAR, compare_int8
from kd.deploy.places import CODE, ONNX, ONNX_INT8, Format, int8_path
from kd.deploy.quantize import quantize
from kd.deploy.reference import answer
from kd.students.file import load_student
from kd.students.results import SeedResult, StudentResults
from kd.students.verify import Check, one_thread
from space.architecture import read
from space.cost import Cost
from space.errors import InputError

SAMPLES = 1_000
"""Test samples that the integers' ONNX file is compared on."""


def verify_exports(folder: Path, data: DataSet) -> Iterator[Check]:
    """Check `student.onnx`, and of the quantised twins, ONNX in integers and C of a student what there is.

    Integers have no rounding of their own: accuracies have to be those of `results.json`, to the last sample.

    Args:
        folder: `students/<digest>/` that `kd.students.verify.verify_student` finds sound.
        data: what it was trained on.
    """
    try:
        results, architecture = StudentResults.from_json(folder / "results.json"), read(folder / "architecture.json")
    except InputError:  # told by verify_student
        return
    cost = architecture.cost()
    with one_thread():
        weights = folder / f"seed-{results.best_seed}.safetensors" if results.seeds else None
        yield from _onnx(folder / ONNX, weights, cost, data)
        for seed in results.seeds:
            if seed.int8_test is not None:
                yield _twin(folder / f"seed-{seed.seed}.safetensors", seed, data, cost.int8_bytes)
        if weights is not None and (folder / ONNX_INT8).is_file():
            yield _int8_onnx(folder / ONNX_INT8, weights, data)
        for form in CODE:
            if weights is not None and (folder / form).is_dir():
                yield _code(folder / form, form, weights, cost, data)


def _onnx(path: Path, weights: Path | None, cost: Cost, data: DataSet) -> Iterator[Check]:
    """Whether `student.onnx` computes what the seed best on validation does, and how many values it holds.

    Without figures of validation it was made from the first seed.
    """
    if weights is None or not weights.is_file():
        yield Check(name=path.name, ok=False, detail="the weights it was made from cannot be read")
        return
    if not path.is_file():
        yield Check(name=path.name, ok=False, detail=f"there is no {path}")
        return
    try:
        content = path.read_bytes()
        difference, limit = compare(load_student(weights), content, data.test.images)
        held = stored_values(onnx.load_from_string(content))
    except Exception as error:  # onnxruntime has a dozen unrelated classes for a model it cannot run
        yield Check(name=path.name, ok=False, detail=_line(error))
        return
    yield Check(
        name=path.name,
        ok=difference <= limit,
        detail=f"largest difference of a logit from {weights.stem} {difference:.2g}, limit {limit:.2g}",
    )
    yield Check(
        name=f"{path.name} values",
        ok=held == cost.deployed_parameters,
        detail=f"the file holds {held:,}, deployed parameters {cost.deployed_parameters:,}",
    )


def _int8_onnx(path: Path, weights: Path, data: DataSet) -> Check:
    """Whether `student-int8.onnx` answers as the integers do."""
    try:
        program = quantize(*quantised(weights, data.train.images))
        found = compare_int8(path.read_bytes(), program, data.test.images[:SAMPLES])
    except Exception as error:  # as above
        return Check(name=path.name, ok=False, detail=_line(error))
    return Check(
        name=path.name,
        ok=found.far <= FAR,
        detail=f"{found.alike:.2%} of the answers are those of the C, {found.within:.2%} of the logits within a step; "
        f"they are {found.far:.2g} deviations away, limit {FAR}",
    )


def _code(folder: Path, form: Format, weights: Path, cost: Cost, data: DataSet) -> Check:
    """Whether C is what is generated anew, has so many bytes, and answers its sample as known."""
    try:
        code = student_code(weights, form, data.train.images, data.test.images[:1])
    except InputError as error:
        return Check(name=form, ok=False, detail=str(error))
    files = {HEADER: code.header, SOURCE: code.source, MAIN: code.main}
    if other := [name for name, text in files.items() if text_of(folder / name) != text]:
        return Check(name=form, ok=False, detail=f"{', '.join(other)} not of {weights.stem}")
    right, words = known_answer(folder)
    bytes_of, counted = (1, cost.int8_bytes) if form == "c-int8" else (4, 4 * cost.deployed_parameters)
    sizes = f"constants {code.constant_bytes:,} bytes, arena {code.arena_bytes // bytes_of:,} values"
    return Check(name=form, ok=right and code.constant_bytes == counted, detail=f"{sizes}, {words}")


def _twin(weights: Path, seed: SeedResult, data: DataSet, bytes_wanted: int) -> Check:
    path, name = int8_path(weights), f"seed {seed.seed} int8"
    try:
        program = load_int8(path)
    except InputError as error:
        return Check(name=name, ok=False, detail=str(error))
    answers, _ = answer(program, data.test.images)
    accuracy, stored = float((answers == data.test.labels).double().mean()), int8_scores(path)
    claimed = None if stored is None else stored.test.accuracy
    return Check(
        name=name,
        ok=accuracy == claimed == seed.int8_test and program.bytes == bytes_wanted,
        detail=f"{100 * accuracy:.4g} % in integers, {100 * (seed.int8_test or 0):.4g} % in results.json; "
        f"{program.bytes:,} bytes of constants, closed form {bytes_wanted:,}",
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def text_of(path: Path) -> str | None:
    """What a text file holds, None where it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
