"""What fits a teacher better that is no better than chance, found by trying: its scale, its axes, its classes."""

import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from kd.data.dataset import DataSet, Split
from kd.teachers.loading import Member
from kd.teachers.measurement import logits_of, score
from kd.teachers.source import Channels, Scale, TeacherSource

SECONDS = 20.0
"""How long is tried at most."""

BETTER = 0.1
"""How much more accurate (share) other settings must be to be worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Settings that fit better, as `--set` takes them, and the accuracy with them (share) on samples held out."""

    settings: tuple[str, ...]
    accuracy: float

    @property
    def options(self) -> str:
        """What to add to the command."""
        return " ".join(f"--set {shlex.quote(setting)}" for setting in self.settings)


def best_remedy(member: Member, data: DataSet, device: torch.device, seconds: float = SECONDS) -> Remedy | None:
    """The settings that a teacher is most accurate with, the fewest of them; None where none is better by `BETTER`.

    Classes are put in the order that the confusion matrix of training samples suggests (Kuhn 1955), and judged by
    others.
    """
    until, count = time.monotonic() + seconds, min(1_024, max(256, 12 * data.classes))
    fit, judged = _samples(member, data, count)
    now = score(logits_of(member, *judged, device), judged[0].labels[judged[1]]).balanced_accuracy
    best: Remedy | None = None
    for settings, tried in ((), member), *_variants(member, data):
        if time.monotonic() > until:
            break
        for remedy in _accuracies(settings, tried, data, fit, judged, device):
            # more settings must be better by more than luck
            if remedy.accuracy > (best.accuracy + 0.02 if best else now + BETTER):
                best = remedy
    return best


def _samples(member: Member, data: DataSet, count: int) -> tuple[tuple[Split, Tensor], tuple[Split, Tensor]]:
    """Samples to find an order of classes by, and others to judge it by."""
    order = torch.randperm(len(data.train.labels), generator=torch.Generator().manual_seed(1))
    if member.stored or len(data.validation.labels) < 2 * data.classes:
        half = min(count, len(order) // 2)
        return (data.train, order[:half]), (data.train, order[half : 2 * half])
    others = torch.randperm(len(data.validation.labels), generator=torch.Generator().manual_seed(1))
    return (data.train, order[:count]), (data.validation, others[:count])


def _accuracies(
    settings: tuple[str, ...],
    member: Member,
    data: DataSet,
    fit: tuple[Split, Tensor],
    judged: tuple[Split, Tensor],
    device: torch.device,
) -> Iterator[Remedy]:
    """With these settings, and with the classes in another order on top where that changes something."""
    try:
        logits = [logits_of(member, split, places, device) for split, places in (fit, judged)]
    except Exception:  # the user's code may raise anything; so these settings are none
        return
    labels = [split.labels[places] for split, places in (fit, judged)]
    if settings:
        yield Remedy(settings=settings, accuracy=score(logits[1], labels[1]).balanced_accuracy)
    order = class_order(logits[0], labels[0], data.classes)
    if order != list(range(data.classes)):
        accuracy = score(logits[1][:, torch.tensor(np.argsort(order))], labels[1]).balanced_accuracy
        if accuracy >= (1 + 1 / data.classes) / 2:  # random networks do not come that far
            yield Remedy(settings=(*settings, f"teacher.classes={_named(order, member, data)}"), accuracy=accuracy)


def class_order(logits: Tensor, labels: Tensor, classes: int) -> list[int]:
    """The class of each column that makes the most samples right: an assignment of the confusion matrix.

    >>> class_order(torch.eye(3)[[1, 2, 0]], torch.tensor([0, 1, 2]), 3)
    [2, 0, 1]
    """
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (logits.argmax(1).numpy(), labels.numpy()), 1)
    confusion += 1e-3 * np.eye(classes)  # columns that nothing tells of stay where they are
    return [int(label) for label in linear_sum_assignment(confusion, maximize=True)[1]]


def _named(order: list[int], member: Member, data: DataSet) -> str:
    """The true class of each of a teacher's columns, whose logits came in this `order`, as TOML has it.

    By name, by index where the names are no more than that.
    """
    claimed = member.source.classes or tuple(range(data.classes))
    indices = [data.names.index(name) if isinstance(name, str) and name else name for name in claimed]
    true = [order[index] if isinstance(index, int) else index for index in indices]
    if data.names == tuple(map(str, range(data.classes))):
        return json.dumps(true)
    return json.dumps([data.names[label] if isinstance(label, int) else label for label in true], ensure_ascii=False)


def _variants(member: Member, data: DataSet) -> Iterator[tuple[tuple[str, ...], Member]]:
    """A teacher with other settings of its input, one changed first, then two."""
    if not member.network.layouts:  # it takes no settings
        return
    source, scales = member.source, _scales(member, data)
    singles: list[tuple[str, TeacherSource]] = [
        *((f"teacher.scale={scale}", replace(source, scale=scale)) for scale in scales),
        *(
            (f"teacher.layout={layout}", replace(source, layout=layout))
            for layout in member.network.layouts
            if layout != source.layout
        ),
    ]
    if not data.sequences and data.shape[0] == 3:
        other: Channels = "rgb" if source.channels == "bgr" else "bgr"
        singles.append((f"teacher.channels={other}", replace(source, channels=other)))
    for setting, changed in singles:
        yield (setting,), replace(member, source=changed)
    for setting, changed in singles[len(scales) :]:
        for scale in scales:
            yield (f"teacher.scale={scale}", setting), replace(member, source=replace(changed, scale=scale))


def _scales(member: Member, data: DataSet) -> list[Scale]:
    if member.network.scale is not None:  # its input tells
        return []
    colours: tuple[Scale, ...] = ("imagenet",) if not data.sequences and data.shape[0] == 3 else ()
    pixels: tuple[Scale, ...] = () if data.sequences else ("0..255", "-1..1")
    known: tuple[Scale, ...] = ("0..1", *pixels, "standardised")
    return [scale for scale in (*known, *colours) if scale != member.source.scale]
