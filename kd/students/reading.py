"""What a trained network answers, sample by sample: the one reading of the test split, kept beside its results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kd.data.dataset import DataSet
from kd.files import write_whole
from kd.students.scores import Scores
from space.errors import InputError, first_line


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Logits, float16 (n, classes), for the samples of a split in its order, and the classes answered, int64 (n,).

    The answers are those of the logits before they were rounded. `labels`, int64 (n,), are the split's.
    """

    logits: Tensor
    answers: Tensor
    labels: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Self:
        """Those of logits (n, classes)."""
        return cls(logits=logits.half(), answers=logits.argmax(1), labels=labels)

    @property
    def right(self) -> Tensor:
        """Which answers are right, bool (n,)."""
        return self.answers == self.labels

    @property
    def accuracy(self) -> float:
        """Share of them that are right."""
        return float(self.right.double().mean())

    @property
    def confusion(self) -> Tensor:
        """How often each class (row) was answered with each (column), int64 (classes, classes)."""
        classes = self.logits.shape[1]
        pairs = torch.bincount(self.labels * classes + self.answers, minlength=classes**2)
        return pairs.reshape(classes, classes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """A network's answers on the test split, read once, and on the validation split."""

    test: Answers
    validation: Answers

    @property
    def scores(self) -> Scores:
        """Those on the test split."""
        return Scores.of(self.test.labels, self.test.answers, self.test.logits.shape[1])

    def save(self, path: Path) -> None:
        """Write it as a safetensors file, whole or not at all."""
        tensors = {"test.logits": self.test.logits, "validation.logits": self.validation.logits}
        for name, part in (("test", self.test), ("validation", self.validation)):
            tensors[f"{name}.answers"] = part.answers.to(torch.int16)
        write_whole(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))

    @classmethod
    def load(cls, path: Path, data: DataSet) -> Self:
        """Read what `save` wrote; raises InputError for a file that is missing, damaged or of other data."""
        try:
            tensors = load(path.read_bytes())
            parts = {}
            for name, split in (("test", data.test), ("validation", data.validation)):
                logits, answers = tensors[f"{name}.logits"], tensors[f"{name}.answers"].long()
                if logits.shape != (len(split.labels), data.classes) or len(answers) != len(split.labels):
                    raise ValueError("it is of other data")
                parts[name] = Answers(logits=logits, answers=answers, labels=split.labels)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(
                f"cannot read {path} ({first_line(error)}): it is written once, when a retraining ends"
            ) from error
        return cls(**parts)
