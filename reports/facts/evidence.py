"""What one retrained student answers, sample by sample: read from what was kept, no network is run."""

import base64
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kd.data.dataset import DataSet, values
from kd.students.calibration import Reliability, fitted_temperature
from kd.students.embedding import Embedding
from kd.students.reading import Reading
from reports.contact_sheet import draw_sample, tile_size, value_limits
from reports.facts.certainty import difference_error
from reports.facts.report_data import ReportData
from space.errors import InputError
from studies.records import StudentRecord
from studies.storage.directory import reading_file
from studies.store import Store

MISTAKES = 24
"""That are shown of a student, the most confident ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A test sample that a student gets wrong: its place in the split, its class, and what is answered how surely.

    `teacher` and `teacher_confidence` (share) are None where the teacher cannot be asked; `picture` is a data address.
    """

    place: int
    label: int
    answer: int
    confidence: float
    teacher: int | None
    teacher_confidence: float | None
    picture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A student beside its teacher on the test split, shares.

    `alike` of all answers are the same; of the student's mistakes the teacher makes `shared`, the same wrong answer.
    """

    teacher: float
    alike: float
    shared: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Confidence beside accuracy on the test split, as it is, and with a temperature fitted on validation samples."""

    temperature: float
    before: Reliability
    after: Reliability


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """What the teacher gave: the mean test accuracy (share) with it less that without, and the difference's error."""

    without: float
    gain: float
    error: float
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """What is known of the answers of the exported `seed`.

    The `calibration` is None where validation samples were trained on, by which no temperature can be fitted.
    `confusion` counts test samples, a row a class; `confused` are its largest wrong cells: class, answer, how many.
    """

    seed: int
    confusion: tuple[tuple[int, ...], ...]
    confused: tuple[tuple[int, int, int], ...]
    errors: int
    mistakes: tuple[Mistake, ...]
    calibration: Calibration | None
    agreement: Agreement | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """All that is known of one student beyond its mean scores; what was never measured is None or empty.

    `features` are its own in a plane, `int8` test accuracies after quantisation, one a seed.
    """

    answered: Answered | None = None
    features: Embedding | None = None
    distillation: Distillation | None = None
    int8: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyEvidence:
    """Of all students by digest, the teacher's features, and the classes (int64) of the validation samples.

    `teacher_validation` and `teacher_test` are accuracies (shares) of who taught them, None where it cannot be asked.
    """

    students: Mapping[str, Evidence]
    teacher_features: Embedding | None
    labels: Tensor
    teacher_validation: float | None = None
    teacher_test: float | None = None


def gather_evidence(store: Store, students: Sequence[StudentRecord]) -> StudyEvidence:
    """Read what was kept of a study's retrained students and of their teacher."""
    teacher = _reading(store.directory.teacher_reading, store.data)
    return StudyEvidence(
        students={student.architecture.digest: _evidence(store, student, teacher) for student in students},
        teacher_features=_embedding(store.directory.teacher_features, store.data),
        labels=store.data.validation.labels,
        teacher_validation=None if teacher is None else teacher.validation.accuracy,
        teacher_test=None if teacher is None else teacher.test.accuracy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherLevel:
    """Accuracies (shares) of the best teacher: by the log beside its file, else by its answers; None where unknown."""

    validation: float | None
    test: float | None


def teacher_level(report: ReportData, evidence: StudyEvidence | None) -> TeacherLevel:
    """That of a study."""
    validations = [t.validation for t in report.teachers if t.validation is not None]
    tests = [t.test for t in report.teachers if t.test is not None]
    answered = (evidence.teacher_validation, evidence.teacher_test) if evidence else (None, None)
    return TeacherLevel(validation=max(validations, default=answered[0]), test=max(tests, default=answered[1]))


def _evidence(store: Store, student: StudentRecord, teacher: Reading | None) -> Evidence:
    directory, digest = store.directory, student.architecture.digest
    weights = directory.student(digest) / f"seed-{student.exported.seed}.safetensors"
    reading = _reading(reading_file(weights), store.data)
    return Evidence(
        answered=None if reading is None else _answered(student, reading, teacher, store.data),
        features=_embedding(directory.student_features(digest, student.exported.seed), store.data),
        distillation=_distillation(student),
    )


def _answered(student: StudentRecord, reading: Reading, teacher: Reading | None, data: DataSet) -> Answered:
    confusion = reading.test.confusion
    wrong = confusion.clone().fill_diagonal_(0)
    largest = wrong.flatten().argsort(descending=True, stable=True)[:5].tolist()
    pairs = [divmod(cell, data.classes) for cell in largest if int(wrong.flatten()[cell]) > 0]
    calibration = None if student.validation is None else _calibration(reading)
    return Answered(
        seed=student.exported.seed,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        confused=tuple((label, answer, int(wrong[label, answer])) for label, answer in pairs),
        errors=int(wrong.sum()),
        mistakes=_mistakes(reading, teacher, calibration.temperature if calibration else 1.0, data),
        calibration=calibration,
        agreement=None if teacher is None else _agreement(reading, teacher),
    )


def _calibration(reading: Reading) -> Calibration:
    temperature = fitted_temperature(reading.validation.logits, reading.validation.labels)
    logits, labels = reading.test.logits, reading.test.labels
    return Calibration(
        temperature=temperature,
        before=Reliability.of(logits, labels),
        after=Reliability.of(logits, labels, temperature),
    )


def _mistakes(reading: Reading, teacher: Reading | None, temperature: float, data: DataSet) -> tuple[Mistake, ...]:
    """The most confident ones; confidences are those at the fitted temperature."""
    test = reading.test
    confidence = (test.logits.double() / temperature).softmax(1).amax(1)
    wrong = (~test.right).nonzero().flatten()
    places = wrong[confidence[wrong].argsort(descending=True, stable=True)][:MISTAKES].tolist()
    opinion = None if teacher is None else teacher.test.logits.double().softmax(1)
    return tuple(
        Mistake(
            place=place,
            label=int(test.labels[place]),
            answer=int(test.answers[place]),
            confidence=float(confidence[place]),
            teacher=None if opinion is None else int(opinion[place].argmax()),
            teacher_confidence=None if opinion is None else float(opinion[place].max()),
            picture=picture,
        )
        for place, picture in zip(places, _pictures(data, places), strict=True)
    )


def _agreement(reading: Reading, teacher: Reading) -> Agreement:
    mine, other = reading.test, teacher.test
    alike = mine.answers == other.answers
    wrong = ~mine.right
    return Agreement(
        teacher=other.accuracy,
        alike=float(alike.double().mean()),
        shared=float(alike[wrong].double().mean()) if bool(wrong.any()) else 0.0,
    )


def _distillation(student: StudentRecord) -> Distillation | None:
    """The seeds that both have; None for a student that is its own twin, or has none."""
    twins = {seed.seed: seed.test for seed in student.twin}
    pairs = [(seed.test, twins[seed.seed]) for seed in student.seeds if seed.seed in twins]
    if not pairs or student.twin == student.seeds:
        return None
    own, without = ([pair[index] for pair in pairs] for index in (0, 1))
    return Distillation(
        without=statistics.fmean(without),
        gain=statistics.fmean(own) - statistics.fmean(without),
        error=difference_error(own, without),
        seeds=len(pairs),
    )


def _pictures(data: DataSet, places: list[int]) -> list[str]:
    """Test samples as addresses of PNG files: images as they are, sequences as lines over time."""
    limits, found = value_limits(data), []
    for sample in values(data.test.taken(torch.tensor(places, dtype=torch.int64))):
        size = tile_size(data) if data.sequences else (sample.shape[2], sample.shape[1])
        content = io.BytesIO()
        draw_sample(sample, size, limits).save(content, format="PNG", optimize=True)
        found.append("data:image/png;base64," + base64.b64encode(content.getvalue()).decode())
    return found


def _reading(path: Path, data: DataSet) -> Reading | None:
    try:
        return Reading.load(path, data)
    except InputError:  # never written, or damaged: the report goes without
        return None


def _embedding(path: Path, data: DataSet) -> Embedding | None:
    try:
        return Embedding.load(path, data)
    except InputError:  # as above
        return None
