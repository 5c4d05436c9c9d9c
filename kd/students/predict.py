"""What a student takes samples for, and how sure it is."""

from dataclasses import dataclass

from torch import Tensor

from kd.students.file import TrainedStudent


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The most likely classes of one sample by name, the likeliest first, with the student's confidence (shares)."""

    classes: tuple[str, ...]
    confidences: tuple[float, ...]


def predictions(student: TrainedStudent, samples: Tensor, top: int = 2) -> list[Prediction]:
    """Predictions for samples as `TrainedStudent.logits` takes them, the `top` classes of each.

    A confidence is the softmax of the logits: what the student claims, not how often it is right.
    """
    confidences, classes = student.logits(samples).softmax(1).topk(min(top, student.architecture.classes))
    return [
        Prediction(classes=tuple(map(student.class_name, of_sample)), confidences=tuple(shares))
        for of_sample, shares in zip(classes.tolist(), confidences.tolist(), strict=True)
    ]
