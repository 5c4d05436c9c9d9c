"""What is told of a student's answers, on answers worked out by hand."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from kd.data.dataset import DataSet
from kd.students.calibration import Reliability, fitted_temperature
from kd.students.embedding import Embedding
from kd.students.reading import Answers, Reading
from kd.teachers.measurement import score
from reports.facts.advice import advice
from reports.facts.evidence import MISTAKES, gather_evidence, teacher_level
from reports.facts.report_data import gather
from reports.facts.verdict import verdict
from space.errors import InputError
from studies.records import student_records
from studies.storage.directory import reading_file
from studies.store import Store


def test_the_temperature_that_was_drawn_is_found_again() -> None:
    generator = torch.Generator().manual_seed(0)
    calibrated = torch.randn(20_000, 5, generator=generator) * 2
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=generator).flatten()
    for temperature in (0.5, 1.0, 3.0):
        found = fitted_temperature(calibrated * temperature, labels)
        assert found == pytest.approx(temperature, rel=0.05)
        before = Reliability.of(calibrated * temperature, labels)
        after = Reliability.of(calibrated * temperature, labels, found)
        assert after.error < 0.012
        assert after.error <= before.error + 0.003
        assert sum(after.counts) == 20_000


def test_the_calibration_error_is_that_of_teachers() -> None:
    logits, labels = torch.tensor([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 1, 1])
    assert score(logits, labels).calibration_error == pytest.approx(Reliability.of(logits, labels).error)
    assert Reliability.of(logits, labels).error == pytest.approx(abs(0.98201379 - 2 / 3))


def test_a_reading_comes_back_as_it_was_written(tmp_path: Path, small_data: DataSet) -> None:
    path = tmp_path / "answers-0.safetensors"
    parts = {
        name: Answers.of(torch.randn(len(split.labels), 10), split.labels)
        for name, split in (("test", small_data.test), ("validation", small_data.validation))
    }
    reading = Reading(**parts)
    reading.save(path)
    found = Reading.load(path, small_data)
    assert torch.equal(found.test.logits, reading.test.logits)
    assert found.scores == reading.scores
    assert path.stat().st_size < 30 * (len(small_data.test.labels) + len(small_data.validation.labels)) + 1_000
    with pytest.raises(InputError, match="it is of other data"):
        Reading.load(path, small_data.first(50))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="it is written once, when a retraining ends"):
        Reading.load(path, small_data)


def test_answers_are_told_as_they_were_given(told: Store) -> None:
    students = student_records(told)
    evidence = gather_evidence(told, students)
    labels = told.data.test.labels
    for student in students:
        answered = evidence.students[student.architecture.digest].answered
        assert answered is not None and answered.calibration is not None and answered.agreement is not None
        confusion = torch.tensor(answered.confusion)
        assert confusion.sum(1).tolist() == labels.bincount().tolist()
        # wrong answers are the class behind
        assert all((label + 1) % 10 == answer for label, answer, _ in answered.confused)
        assert answered.errors == int(confusion.sum() - confusion.diagonal().sum())
        assert len(answered.mistakes) == MISTAKES
        confidences = [mistake.confidence for mistake in answered.mistakes]
        assert confidences == sorted(confidences, reverse=True)
        for mistake in answered.mistakes:
            assert mistake.label == int(labels[mistake.place]) != mistake.answer
            assert mistake.teacher is not None
        picture = base64.b64decode(answered.mistakes[0].picture.partition(",")[2])
        pixels = torch.frombuffer(bytearray(Image.open(io.BytesIO(picture)).convert("L").tobytes()), dtype=torch.uint8)
        assert torch.equal(pixels.reshape(28, 28), told.data.test.images[answered.mistakes[0].place, 0])
        assert answered.agreement.teacher == pytest.approx(0.9968, abs=0.002)
    assert teacher_level(gather(told), evidence).test == 0.9968  # by its log, which comes first


def test_a_student_that_trained_on_validation_samples_has_no_temperature(told: Store) -> None:
    retrain = replace(told.config.retrain, with_validation=True)
    merged = replace(told, config=replace(told.config, retrain=retrain))
    students = student_records(merged)
    for one in gather_evidence(merged, students).students.values():
        assert one.answered is not None and one.answered.calibration is None


def test_a_study_without_answers_is_told_without_them(retrained: Store) -> None:
    students = student_records(retrained)
    evidence = gather_evidence(retrained, students)
    assert all(one.answered is None and one.features is None for one in evidence.students.values())
    assert evidence.teacher_features is None


def test_every_limit_is_named_with_a_command(told: Store) -> None:
    report = gather(told)
    found = {one.title: one for one in advice(report, gather_evidence(told, report.students))}
    assert found["Not finished"].command == f"wunderkind run --name {report.target}"
    # the smallest has one seed
    assert found["One seed"].command.endswith("--seeds 3")
    assert found["What distillation gave is not known"].command.endswith("--set retrain.ablation=true")
    assert "10,000 samples: one is 0.01 points" in found["Noise of the test set"].finding
    said = verdict(report, list(found.values()))
    assert said is not None and report.best is not None
    assert said.digest == report.best.architecture.digest
    assert said.command == next(iter(found.values())).command


def test_too_few_seeds_for_a_difference_are_told_with_how_many_would_do(finished: Store) -> None:
    report = gather(finished)
    titles = [one.title for one in advice(report, gather_evidence(finished, report.students))]
    assert "Too few seeds to tell the two best apart" in titles
    assert "Not finished" not in titles


def test_features_of_classes_that_are_apart_stay_apart() -> None:
    generator, places = torch.Generator().manual_seed(0), torch.arange(120)
    centres = torch.eye(3).repeat(40, 1) * 10
    found = Embedding.of(centres + torch.randn(120, 3, generator=generator), places)
    groups = [found.positions[index::3] for index in range(3)]
    spread = max(float(group.std(0).max()) for group in groups)
    means = torch.stack([group.mean(0) for group in groups])
    assert float(torch.pdist(means).min()) > 2 * spread


def test_mistakes_of_sequences_are_drawn_as_lines(told: Store, sequences: DataSet) -> None:
    generator = torch.Generator().manual_seed(0)
    splits = (sequences.test, sequences.validation)
    test, validation = (Answers.of(torch.randn(len(s.labels), 10, generator=generator), s.labels) for s in splits)
    student = student_records(told)[0]
    weights = told.directory.student(student.architecture.digest) / f"seed-{student.exported.seed}.safetensors"
    Reading(test=test, validation=validation).save(reading_file(weights))
    evidence = gather_evidence(replace(told, data=sequences), [student])
    answered = evidence.students[student.architecture.digest].answered
    assert answered is not None and answered.agreement is None  # the teacher's answers are of other data
    picture = base64.b64decode(answered.mistakes[0].picture.partition(",")[2])
    with Image.open(io.BytesIO(picture)) as drawn:
        assert drawn.size == (128, 64)
        assert len(drawn.convert("RGB").getcolors() or []) > 2
    assert answered.mistakes[0].teacher is None
