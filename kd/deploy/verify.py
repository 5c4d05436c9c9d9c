"""Whether what was exported for devices holds what it says: int8 accuracies, bytes, C code and its known answer."""

from collections.abc import Iterator
from pathlib import Path

from kd.data.dataset import DataSet
from kd.deploy.c_code import HEADER, MAIN, SOURCE
from kd.deploy.export import answers_known_sample, student_code
from kd.deploy.int8_file import int8_scores, load_int8
from kd.deploy.places import FORMATS, int8_path
from kd.deploy.reference import answer
from kd.students.results import SeedResult, StudentResults
from kd.students.verify import Check
from space.architecture import read
from space.errors import InputError


def verify_exports(folder: Path, data: DataSet) -> Iterator[Check]:
    """Check the quantised twins and the C code of a retrained student; what was not exported is not checked.

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
    for seed in results.seeds:
        if seed.int8_test is not None:
            yield _twin(folder / f"seed-{seed.seed}.safetensors", seed, data, cost.int8_bytes)
    best = results.best_seed
    weights = folder / f"seed-{best}.safetensors"
    for form in FORMATS:
        if (folder / form).is_dir():
            try:
                code = student_code(weights, form, data.train.images, data.test.images[:1])
            except InputError as error:
                yield Check(name=form, ok=False, detail=str(error))
                continue
            files = {HEADER: code.header, SOURCE: code.source, MAIN: code.main}
            other = [name for name, text in files.items() if _text(folder / form / name) != text]
            known = not other and answers_known_sample(folder / form)
            bytes_of = 1 if form == "c-int8" else 4
            counted = cost.int8_bytes if form == "c-int8" else 4 * cost.deployed_parameters
            sizes = f"constants {code.constant_bytes:,} bytes, arena {code.arena_bytes // bytes_of:,} values"
            answered = {None: "not compiled: there is no gcc", True: "answers its sample as known"}
            yield Check(
                name=form,
                ok=known is not False and code.constant_bytes == counted,
                detail=f"{', '.join(other)} not of seed {best}"
                if other
                else f"{sizes}, {answered.get(known, 'WRONG')}",
            )


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


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
