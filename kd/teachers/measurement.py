"""How good teachers are on labelled samples: measured before they teach, and kept with the study."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, TypeAdapter
from torch import Tensor

from kd.data.dataset import DataSet, Split, class_counts, values
from kd.files import from_json, to_json
from kd.students.calibration import Reliability
from kd.teachers.loading import LogitFunction, Member
from kd.teachers.outputs import Kind
from kd.teachers.source import Layout, Scale

SAMPLES, BATCH = 1_024, 64
"""Samples of a split that a teacher is measured on at most, and how many at a time."""

SECONDS, FEWEST = 4.0, 128
"""What a teacher may take for the samples of a split, and how many it gets at least however long it takes."""

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitScore:
    """A teacher on `samples` of one split: shares, the calibration error as in Guo et al. 2017, equation 3.

    `balanced_accuracy` is the mean over the classes of the share of their samples that are labelled correctly.
    """

    samples: int
    accuracy: Share
    balanced_accuracy: Share
    confidence: Share
    calibration_error: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherScore:
    """One teacher, or an ensemble, on training and validation samples, and how its input and output were taken.

    Stored logits are of training samples alone. `random` says that it gives other logits for the same samples.
    """

    name: str
    train: SplitScore
    validation: SplitScore | None = None
    kind: Kind = "logits"
    layout: Layout = "auto"
    scale: Scale = "0..1"
    random: bool = False

    @property
    def samples(self) -> int:
        """How many samples it was measured on."""
        return self.train.samples + (self.validation.samples if self.validation else 0)

    @property
    def summary(self) -> str:
        """All of it in a line."""
        parts = [f"{100 * self.train.accuracy:.1f} % of {self.train.samples:,} training samples right"]
        if self.validation is not None:
            parts[0] = (
                f"{100 * self.train.accuracy:.1f} % of {self.train.samples:,} training and "
                f"{100 * self.validation.accuracy:.1f} % of {self.validation.samples:,} validation samples right"
            )
        last = self.validation or self.train
        parts += [f"mean confidence {100 * last.confidence:.1f} %"]
        parts += [f"calibration error {100 * last.calibration_error:.1f} %"]
        parts += [f"gives {self.kind}: their logarithm is used"] if self.kind != "logits" else []
        parts += [f"takes {self.layout}"] if self.layout not in ("auto", "nchw", "nlc") else []
        parts += [f"takes pixels in {self.scale}"] if self.scale != "0..1" else []
        parts += ["gives other logits for the same samples each time"] if self.random else []
        return f"{self.name}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherMeasurement:
    """How good a study's teachers are, each by itself and together.

    `data` is the digest of the data, `fingerprint` that of the teachers; `majority` the share of the largest class of
    the training samples, which a teacher that always says the same reaches; `ensemble` is None for a single teacher;
    `hint` says which settings would fit better, "" where none is known.
    """

    data: str
    fingerprint: str
    classes: int
    majority: Share
    teachers: tuple[TeacherScore, ...]
    ensemble: TeacherScore | None = None
    hint: str = ""

    @property
    def all(self) -> tuple[TeacherScore, ...]:
        """The teachers, and the ensemble where there is one."""
        return (*self.teachers, *((self.ensemble,) if self.ensemble else ()))

    @property
    def lines(self) -> tuple[str, ...]:
        """What is printed, a line a teacher."""
        return (
            *(f"teacher {score.summary}" for score in self.all),
            f"by chance {100 / self.classes:.1f} % would be right, {100 * self.majority:.1f} % by the largest class",
            *((self.hint,) if self.hint else ()),
        )

    def to_json(self) -> str:
        """What the file of a study holds."""
        return to_json(self)

    @classmethod
    def from_json(cls, path: Path) -> "TeacherMeasurement":
        """Read a file; raises InputError for one that is missing, damaged or of another format."""
        content = path.read_bytes() if path.is_file() else b""
        return from_json(_ADAPTER, content, path, "the next wunderkind run writes it again")


def measure(
    members: Sequence[Member], data: DataSet, device: torch.device, fingerprint: str = "", most: int = SAMPLES
) -> TeacherMeasurement:
    """Measure open teachers on at most so many labelled samples each of the training and the validation split.

    The test split is not touched. A teacher so slow that it would take longer than `SECONDS` gets fewer samples.
    """
    splits = (data.train,) if any(member.stored for member in members) else (data.train, data.validation)
    chosen = [_places(split, most) for split in splits]
    given: list[list[Tensor]] = []
    for member in members:
        for index, split in enumerate(splits):
            chosen[index] = chosen[index][: _affordable(member, split, chosen[index], device)]
        given.append([logits_of(member, split, places, device) for split, places in zip(splits, chosen, strict=True)])
    labels = [split.labels[places] for split, places in zip(splits, chosen, strict=True)]
    scores = []
    for member, logits in zip(members, given, strict=True):
        first, *rest = (score(part[: len(y)], y) for part, y in zip(logits, labels, strict=True))
        scores.append(
            TeacherScore(
                name=member.title,
                train=first,
                validation=rest[0] if rest else None,
                kind=member.kind,
                layout=member.source.layout,
                scale=member.source.scale,
                random=_is_random(member, data, device),
            )
        )
    together = None
    if len(members) > 1:
        means = [
            torch.stack([logits[index][: len(y)].log_softmax(1) for logits in given]).logsumexp(0)
            for index, y in enumerate(labels)
        ]
        first, *rest = (score(part, y) for part, y in zip(means, labels, strict=True))
        together = TeacherScore(name="ensemble", train=first, validation=rest[0] if rest else None)
    counts = class_counts(data)[0]
    return TeacherMeasurement(
        data=data.digest,
        fingerprint=fingerprint,
        classes=data.classes,
        majority=float(counts.max() / counts.sum()),
        teachers=tuple(scores),
        ensemble=together,
    )


@torch.no_grad()
def logits_of(teacher: LogitFunction, split: Split, places: Tensor, device: torch.device) -> Tensor:
    """A teacher's logits (n, classes) for samples of a split, on the CPU."""
    parts = places.split(BATCH)
    return torch.cat([teacher(values(split.taken(part).to(device)), part).float().cpu() for part in parts])


def score(logits: Tensor, labels: Tensor) -> SplitScore:
    """Logits (n, classes) beside labels (n,).

    >>> score(torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])).accuracy
    0.5
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    right = (predicted == labels).double()
    recalls = [float(right[labels == label].mean()) for label in labels.unique()]
    return SplitScore(
        samples=len(labels),
        accuracy=float(right.mean()),
        balanced_accuracy=sum(recalls) / len(recalls),
        confidence=min(1.0, float(confidence.mean())),
        calibration_error=min(1.0, Reliability.of(logits, labels).error),
    )


def _places(split: Split, most: int) -> Tensor:
    """Places of samples drawn alike on every machine, since a file may hold one class after the other."""
    return torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(0))[:most]


def _affordable(member: Member, split: Split, places: Tensor, device: torch.device) -> int:
    """How many samples a teacher labels in `SECONDS`, by a batch that warms it up and another; `FEWEST` at least."""
    logits_of(member, split, places[:BATCH], device)
    started = time.perf_counter()
    logits_of(member, split, places[:BATCH], device)
    return max(FEWEST, int(SECONDS / (time.perf_counter() - started)) * BATCH)


def _is_random(member: Member, data: DataSet, device: torch.device) -> bool:
    places = _places(data.train, BATCH)
    first, again = (logits_of(member, data.train, places, device) for _ in range(2))
    return not torch.allclose(first, again, rtol=1e-2, atol=1e-2)


_ADAPTER = TypeAdapter(TeacherMeasurement)
