"""Whether a retrained student's folder holds what it results: sizes, budget, accuracies."""

import json
import math
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kd.data.dataset import DataSet
from kd.files import damaged_files
from kd.students.evaluate import evaluate
from kd.students.file import TrainedStudent, load_student
from kd.students.results import SeedResult, StudentResults
from space.architecture import Architecture, read
from space.budget import Budget
from space.errors import InputError

ROUNDING = 1e-3
"""By how much a validation accuracy may differ: it is measured in training, perhaps on a GPU."""
SAMPLES = 1.5
"""By how many samples any accuracy may differ: another processor's rounding may turn one over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing verified: what, whether it holds, and the values compared."""

    name: str
    ok: bool
    detail: str


def verify_student(folder: Path, data: DataSet, budget: Budget) -> list[Check]:
    """Check one retrained student against its own records.

    Args:
        folder: `students/<digest>/` with `architecture.json`, `results.json`, `seed-<n>.safetensors`.
        data: what it was trained on.
        budget: the limits it must stay under.

    Returns:
        Every check made; the folder is sound when all are ok. A damaged file is a failed check.

    Raises:
        InputError: when there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"no retrained student at {folder}: check the path, or retrain one")
    try:
        architecture = read(folder / "architecture.json")
        results = StudentResults.from_json(folder / "results.json")
    except InputError as error:
        return [Check(name="files", ok=False, detail=str(error))]
    checks = [_named(folder, architecture), _budget(architecture, budget), _summary(architecture, results)]
    files = {path.stem.removeprefix("seed-"): path for path in sorted(folder.glob("seed-*.safetensors"))}
    checks.append(_complete(list(files), results))
    with one_thread():
        for result in results.seeds:
            if str(result.seed) not in files:
                continue
            try:
                student = load_student(files[str(result.seed)])
            except InputError as error:
                checks.append(Check(name=f"seed {result.seed}", ok=False, detail=str(error)))
                continue
            checks += _seed(student, result, architecture, data)
    return checks


def verify_manifest(folder: Path) -> Check:
    """Check that the files which a retrained student's folder names are all there, as they were written."""
    damaged = ", ".join(damaged_files(folder, thorough=True))
    detail = f"missing, or not as they were written: {damaged}" if damaged else "every file is as it was written"
    return Check(name="files", ok=not damaged, detail=detail)


def _named(folder: Path, architecture: Architecture) -> Check:
    name = folder.resolve().name
    return Check(
        name="digest",
        ok=architecture.digest == name,
        detail=f"architecture.json {architecture.digest}, folder {name}",
    )


def _budget(architecture: Architecture, budget: Budget) -> Check:
    reason, cost = budget.rejection_reason(architecture), asdict(architecture.cost())
    limits = [f"{name} {cost[name]:,} < {limit:,}" for name, limit in asdict(budget).items() if limit is not None]
    return Check(name="budget", ok=reason is None, detail=reason or ", ".join(limits) or "no limits")


def _summary(architecture: Architecture, results: StudentResults) -> Check:
    """Whether what `results.json` sums up follows from the architecture and the seeds it lists."""
    wrong: list[str] = []

    def expect(name: str, claimed: Any, true: Any) -> None:
        if claimed != true:
            wrong.append(f"{name} is {claimed}, should be {true}")

    if results.architecture != json.loads(architecture.to_json()):
        wrong.append("architecture is not that of architecture.json")
    expect("digest", results.digest, architecture.digest)
    expect("family", results.family, architecture.family)
    cost = asdict(architecture.cost())
    for name, value in cost.items():
        expect(name, results.cost.get(name), value)
    tests = [result.test for result in results.seeds]
    expect("test_mean", results.test_mean, statistics.fmean(tests) if tests else None)
    # one seed has no deviation: null or NaN
    deviation = None if results.test_deviation is None or math.isnan(results.test_deviation) else results.test_deviation
    expect("test_deviation", deviation, statistics.stdev(tests) if len(tests) > 1 else None)
    return Check(name="results.json", ok=not wrong, detail="; ".join(wrong) or "follows from its seeds")


def _complete(files: list[str], results: StudentResults) -> Check:
    claimed = sorted(str(result.seed) for result in results.seeds)
    return Check(
        name="seeds",
        ok=bool(files) and sorted(files) == claimed,
        detail=f"weights of {', '.join(sorted(files)) or 'none'}; results.json lists {', '.join(claimed) or 'none'}",
    )


def _seed(student: TrainedStudent, result: SeedResult, architecture: Architecture, data: DataSet) -> Iterator[Check]:
    closed_form = architecture.cost().parameters
    module = sum(p.numel() for p in student.module.parameters() if p.requires_grad)
    yield Check(
        name=f"seed {result.seed} parameters",
        ok=closed_form == student.parameters == module,
        detail=f"closed form {closed_form:,}, stored tensors {student.parameters:,}, module {module:,}",
    )
    inside = (student.architecture.digest, student.data, student.mean, student.std)
    outside = (architecture.digest, data.digest, data.mean, data.std)
    yield Check(
        name=f"seed {result.seed} origin",
        ok=inside == outside,
        detail=f"architecture, data, mean, std: {inside} in the file"
        + ("" if inside == outside else f", should be {outside}"),
    )
    if student.architecture.shape != data.shape or student.architecture.classes != data.classes:
        yield Check(name=f"seed {result.seed} test", ok=False, detail="the student does not fit the data")
        return
    measured = {"test": (data.test, result.test, 0.0)}
    if result.validation is not None:
        measured["validation"] = data.validation, result.validation, ROUNDING
    for part, (split, claimed, rounding) in measured.items():
        tolerance = max(rounding, SAMPLES / len(split.labels))
        accuracy = evaluate(student.module, split, data, torch.device("cpu")).accuracy
        yield Check(
            name=f"seed {result.seed} {part}",
            ok=abs(accuracy - claimed) <= tolerance,
            detail=f"{100 * accuracy:.4g} % from the file, {100 * claimed:.4g} % in results.json",
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, as accuracies were measured: sums split over threads may round another way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
