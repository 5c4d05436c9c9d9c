"""What is held out of a training split: stratified by class, and at least one sample of every class left."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from space.errors import InputError

Indices = NDArray[np.int64]

UNEVEN = 3
"""How many times the samples of the other classes' mean the largest class may have before it is told."""
FEW = 225
"""Samples below which the standard error of an accuracy of 90 % is more than two points."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """Rows that stay in the training split, rows that are `taken` out of it, and classes of which none is."""

    kept: Indices
    taken: Indices
    absent: tuple[str, ...]

    def notes(self, part: str) -> tuple[str, ...]:
        """What is to be told of the split `part` that was taken."""
        return _lacks(part, self.absent, ": there are too few of them to hold one out")


def hold_out(labels: Indices, rows: Indices, count: int, setting: str, seed: int, names: tuple[str, ...]) -> HeldOut:
    """Take `count` of `rows` out, stratified by class.

    Args:
        labels: of all samples, (n,).
        rows: samples that may be taken.
        count: how many are.
        setting: what said so, for errors.
        seed: fixes which ones are taken.
        names: of the classes.

    Raises:
        InputError: where not every class would keep a sample, or none would be taken.
    """
    y, classes = labels[rows], len(names)
    most = len(y) - classes
    if most < 1:
        raise InputError(
            f"{len(y)} training samples of {classes} classes are too few to hold any out: add samples, or a test and a "
            "validation split of their own"
        )
    if not 1 <= count <= most:
        raise InputError(
            f"{setting} would hold out {count:,} of {len(y):,} samples of {classes} classes: hold out 1 to {most:,}, "
            "so that every class keeps one"
        )
    taken = stratified(y, count, seed, leave=1)
    kept = np.setdiff1d(np.arange(len(y)), taken)
    absent = np.setdiff1d(np.arange(classes), y[taken])
    return HeldOut(kept=rows[kept], taken=rows[taken], absent=tuple(names[label] for label in absent))


def absent_notes(labels: Indices, part: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be told of a split that the data bring along, and that lacks classes."""
    return _lacks(part, [names[label] for label in np.setdiff1d(np.arange(len(names)), labels)])


def _lacks(part: str, absent: Sequence[str], why: str = "") -> tuple[str, ...]:
    if not absent:
        return ()
    return (f"the {part} split has no sample of {', '.join(absent[:8])}{', …' if len(absent) > 8 else ''}{why}",)


def few_samples_notes(count: int, part: str) -> tuple[str, ...]:
    """What is to be told of a split of few samples: the standard error of an accuracy, as of a binomial share."""
    if count >= FEW:
        return ()
    error = 100 * (0.9 * 0.1 / count) ** 0.5
    return (
        f"with {count} {part} samples the standard error of an accuracy of 90 % is {error:.1f} points: students that "
        "differ by less are not told apart",
    )


def uneven_notes(labels: Indices, names: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be told where one class is much larger than the others."""
    counts = np.bincount(labels, minlength=len(names))
    largest = int(counts.argmax())
    others = (len(labels) - counts[largest]) / (len(names) - 1)
    if counts[largest] <= UNEVEN * others:
        return ()
    return (
        f"the classes are uneven: {100 * counts[largest] / len(labels):.1f} % of the training samples are of class "
        f"{names[largest]}, which a student that answers nothing else gets right; search.metric = balanced_accuracy or "
        "macro_f1 compares students by every class alike",
    )


def stratified(labels: Indices, count: int, seed: int, leave: int = 0) -> Indices:
    """Indices of `count` samples in which every class keeps its share (largest remainders), ascending.

    Of every class at least `leave` samples are not taken; what that lacks, the classes with most samples left give.
    """
    generator = np.random.default_rng(seed)
    members = [generator.permutation(np.flatnonzero(labels == c)) for c in range(int(labels.max()) + 1)]
    sizes = np.array([len(m) for m in members])
    shares = sizes * count / len(labels)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    most = np.maximum(sizes - leave, 0)
    counts = np.minimum(counts, most)
    for _ in range(count - counts.sum()):
        counts[np.argmax(most - counts)] += 1
    return np.sort(np.concatenate([m[:n] for m, n in zip(members, counts, strict=True)]))
