"""What a retrained student's folder tells of it: a page to try it, a model card, and an Arduino library."""

from pathlib import Path

from kd.data.dataset import DataSet
from kd.deploy.arduino import write_arduino_library
from kd.deploy.c_code import int8_code
from kd.deploy.reference import answer
from kd.files import checksum, write_whole
from kd.measure.measurement import known
from kd.students.file import load_student
from kd.students.results import StudentResults
from reports.facts.student_facts import StudentFacts
from reports.model_card import model_card
from reports.student_page import student_page
from search.jobs.measuring import integers_of
from space.board import find
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory
from studies.store import stored_config

PAGE, CARD, ARDUINO = "student.html", "card.md", "arduino"


def tell_student(folder: Path, data: DataSet, config: Config) -> None:
    """Write `student.html`, `card.md` and `arduino/` into a retrained student's folder, of its exported seed.

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
        board=None if config.space.board is None else find(config.space.board),
    )
    write_whole(folder / PAGE, student_page(facts))
    write_whole(folder / CARD, model_card(facts))
    sample = data.test.images[:1]
    (found,), _ = answer(program, sample)
    code = int8_code(program, sample, f"Student {digest}")
    write_arduino_library(code, sample[0], int(found), digest, folder / ARDUINO)


def is_told(folder: Path) -> bool:
    """Whether all of it is there."""
    return all((folder / name).exists() for name in (PAGE, CARD, ARDUINO))


def retell(folder: Path, runs: Path, study: str, data: DataSet) -> None:
    """Write it anew, once more is known of a student of a study under `runs`."""
    tell_student(folder, data, stored_config(RunDirectory(root=runs, name=study)))
