"""When a teacher is refused, and what is kept of its measurement."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from kd.data.dataset import DataSet
from kd.teachers.check import is_chance, measured_teachers
from kd.teachers.measurement import TeacherMeasurement, TeacherScore, score
from kd.teachers.remedies import class_order
from kd.teachers.source import TeacherSource
from space.errors import InputError


def store(world: Any, logits: Any, name: str = "stored.npy") -> TeacherSource:
    np.save(world.folder / name, np.asarray(logits, np.float32))
    return TeacherSource(models=(str(world.folder / name),))


def right(world: Any) -> Any:
    """Logits of a perfect teacher."""
    return 6 * np.eye(world.data.classes)[world.data.train.labels.numpy()]


def test_the_score_by_hand() -> None:
    logits = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.7, 0.3], [0.2, 0.8]]).log()
    found = score(logits, torch.tensor([0, 1, 0, 1]))
    assert (found.samples, found.accuracy, found.balanced_accuracy) == (4, 0.75, 0.75)
    assert found.confidence == pytest.approx(0.825)
    # two at 0.9, of which one is right, one right at 0.7 and one at 0.8
    assert score(torch.full((3, 2), 1e4), torch.tensor([0, 1, 1])).confidence <= 1
    assert found.calibration_error == pytest.approx((2 * 0.4 + 0.3 + 0.2) / 4)


@given(st.integers(2, 20), st.integers(0, 2**20))
def test_an_order_of_classes_is_found_again(classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    order, labels = torch.randperm(classes, generator=generator), torch.arange(classes).repeat(3)
    columns = torch.empty_like(order)
    columns[order] = torch.arange(classes)
    logits = functional.one_hot(columns[labels], classes).float()
    assert class_order(logits, labels, classes) == order.tolist()


@given(st.integers(2, 100), st.integers(2_000, 50_000), st.integers(0, 2**20))
def test_guesses_are_chance_and_good_teachers_are_not(classes: int, samples: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (samples,), generator=generator)
    noise = torch.rand(samples, classes, generator=generator)

    def measured(logits: torch.Tensor) -> tuple[TeacherScore, TeacherMeasurement]:
        one = TeacherScore(name="t", train=score(logits, labels))
        majority = float(labels.bincount().max() / samples)
        return one, TeacherMeasurement(data="", fingerprint="", classes=classes, majority=majority, teachers=(one,))

    assert is_chance(*measured(noise))
    assert is_chance(*measured(functional.one_hot(torch.zeros_like(labels), classes).float()))
    assert not is_chance(*measured(noise + functional.one_hot(labels, classes)))


def test_always_the_largest_class_is_refused_however_often_it_is_right(uneven: Any) -> None:
    constant = np.tile([[5.0, 0.0, 0.0]], (300, 1))
    with pytest.raises(InputError, match=r"right for 90\.0 % of 300 .* the largest class 90\.0 %: no other order"):
        measured_teachers(store(uneven, constant), uneven.data)
    found = measured_teachers(store(uneven, right(uneven)), uneven.data)
    assert found.majority == pytest.approx(0.9)
    assert "90.0 % by the largest class" in found.lines[-1]


def test_stored_probabilities_and_orders_of_classes(grey: Any) -> None:
    probabilities = torch.from_numpy(right(grey)).softmax(1).numpy()
    (found,) = measured_teachers(store(grey, probabilities), grey.data).teachers
    assert (found.kind, found.train.accuracy, found.validation) == ("probabilities", 1, None)
    assert found.train.confidence == pytest.approx(probabilities.max(1).mean(), abs=1e-3)
    rolled = store(grey, np.roll(right(grey), -1, axis=1))
    with pytest.raises(InputError, match=r"teacher\.classes=\[1, 2, 0\]'"):
        measured_teachers(rolled, grey.data)
    assert measured_teachers(replace(rolled, classes=(1, 2, 0)), grey.data).teachers[0].train.accuracy == 1
    assert measured_teachers(replace(rolled, classes=("1", "2", "0")), grey.data).teachers[0].train.accuracy == 1
    with pytest.raises(InputError, match=r"teacher\.classes=\[1, 2, 0\]'"):
        measured_teachers(replace(rolled, classes=(2, 0, 1)), grey.data)
    assert measured_teachers(replace(rolled, check=False), grey.data).teachers[0].train.accuracy == 0


def test_one_bad_member_of_an_ensemble_is_named(grey: Any) -> None:
    bad = str(grey.folder / "bad.onnx")
    weight, bias = grey.linear()
    Path(grey.onnx((1, 8, 8), linear=(np.zeros_like(weight), bias))).rename(bad)
    good = grey.onnx((1, 8, 8))
    with pytest.raises(InputError, match=r"^teacher bad\.onnx is right for .*, or leave this teacher out"):
        measured_teachers(TeacherSource(models=(good, bad)), grey.data)
    found = measured_teachers(TeacherSource(models=(good, good)), grey.data)
    assert found.ensemble is not None
    assert found.ensemble.train.confidence == pytest.approx(found.teachers[0].train.confidence)
    assert len(found.lines) == 4


def test_the_shipped_teacher_is_measured_as_its_log_says(small_data: DataSet, tmp_path: Path) -> None:
    found = measured_teachers(TeacherSource(models=("mnist",)), small_data)
    (one,) = found.teachers
    assert one.name == "mnist-teacher.safetensors"
    assert one.train.accuracy > 0.98
    assert one.samples == 1_000 + 200
    path = tmp_path / "teachers.json"
    path.write_text(found.to_json())
    assert TeacherMeasurement.from_json(path) == found
    path.write_text(found.to_json()[:-20])
    with pytest.raises(InputError, match=r"cannot read .*: the next wunderkind run writes it again"):
        TeacherMeasurement.from_json(path)
    # what is known is not measured again, unless it is of another teacher
    marked = replace(found, hint="known")
    assert measured_teachers(TeacherSource(models=("mnist",)), small_data, known=marked) == marked
    other = measured_teachers(TeacherSource(models=("mnist-1",)), small_data, known=marked)
    assert (other.hint, other.fingerprint == found.fingerprint) == ("", False)


def test_a_measurement_of_an_unchecked_teacher_does_not_let_it_pass(grey: Any) -> None:
    source = store(grey, np.zeros((300, 3)))
    known = measured_teachers(replace(source, check=False), grey.data)
    with pytest.raises(InputError, match="is right for"):
        measured_teachers(source, grey.data, known=known)
