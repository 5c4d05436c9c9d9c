"""What a retrained student's folder tells of it: a page to try it, a model card, and an Arduino library."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kd.data.dataset import DataSet, load
from kd.deploy.arduino import arduino_library
from kd.deploy.c_code import int8_code
from kd.deploy.reference import answer
from kd.deploy.verify import text_of
from kd.files import checksum, renew_manifest, write_whole
from kd.measure.measurement import known
from kd.students.file import load_student
from kd.students.results import StudentResults
from kd.students.verify import Check
from reports.facts.student_facts import StudentFacts
from reports.model_card import model_card
from reports.student_page import VECTORS, student_page
from search.jobs.measuring import integers_of
from space.errors import InputError
from studies.configuration.config import Config
from studies.storage.directory import study_of
from studies.store import stored_config

PAGE, CARD, ARDUINO = "student.html", "card.md", "arduino"
KNOWN = {
    PAGE: f"as written anew, with {VECTORS} samples and the reference's answers",
    CARD: "as written anew, with the figures of results.json",
    ARDUINO: "as written anew, with a sample and the reference's answer",
}
"""What is verified of each."""


def tell_student(folder: Path, data: DataSet, config: Config) -> tuple[str, ...]:
    """Write `student.html`, `card.md` and `arduino/` into a retrained student's folder; arguments: `told`.

    Returns:
        The names of all files, for the folder's manifest.
    """
    files = told(folder, data, config)
    for name, text in files.items():
        write_whole(folder / name, text)
    return tuple(files)


def told(folder: Path, data: DataSet, config: Config) -> dict[str, str]:
    """What those files hold, by name, for the exported seed of a retrained student.

    Args:
        folder: `students/<digest>/` with `results.json` and the weights.
        data: what it learnt from.
        config: that of its study.

    Raises:
        InputError: when a file that is needed cannot be read.
    """
    results = StudentResults.from_json(folder / "results.json")
    path = folder / f"seed-{results.best_seed}.safetensors"
    student = load_student(path)
    program = integers_of(path, data)
    digest = student.architecture.digest
    facts = StudentFacts(
        student=student,
        program=program,
        results=results,
        config=config,
        data=data,
        samples=data.test.images,
        measurements=known(path, digest, checksum(path)).measured,
        board=config.board,
    )
    sample = data.test.images[:1]
    (found,), _ = answer(program, sample)
    library = arduino_library(int8_code(program, sample, f"Student {digest}"), sample[0], int(found), digest)
    pages = {PAGE: student_page(facts), CARD: model_card(facts)}
    return pages | {f"{ARDUINO}/{name}": text for name, text in library.items()}


def verify_told(folder: Path, data: DataSet, config: Config) -> Iterator[Check]:
    """Check page, card and Arduino library: whether they are what is written of the student anew, answers and all."""
    try:
        wanted = told(folder, data, config)
    except InputError as error:
        yield Check(name=PAGE, ok=False, detail=str(error))
        return
    for part in (PAGE, CARD, ARDUINO):
        files = [name for name in wanted if name.partition("/")[0] == part]
        other = [name for name in files if text_of(folder / name) != wanted[name]]
        yield Check(name=part, ok=not other, detail=f"{', '.join(other)} not as written anew" if other else KNOWN[part])


def retell(weights: Path, data: DataSet | None, written: Sequence[str] = ()) -> bool:
    """Write it anew, once more is known of a student, or after other files in its folder were `written`.

    Args:
        weights: the student's file; of one in no study nothing is told.
        data: what it learnt from, if they are at hand; others, or none, and its study's are read.
        written: names of files.

    Returns:
        Whether there is something to tell.
    """
    folder, study = weights.parent, study_of(weights)
    if study is None or not (folder / "results.json").is_file():
        return False
    if data is None or data.digest != load_student(weights).data:
        data = load(stored_config(study).data)
    renew_manifest(folder, [*written, *tell_student(folder, data, stored_config(study))])
    return True
