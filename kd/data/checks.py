"""What a source's arrays must look like, and the one form they are brought into."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from kd.data.labels import Labels, read_labels
from kd.data.raw import Raw
from kd.data.samples import Form, Samples, read_samples
from kd.data.splits import absent_notes
from space.errors import InputError

Part = tuple[Samples, Labels]
"""Samples and their labels (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """A source's splits, "train", "val" and "test" as far as it has them, its classes' names, and notes on guesses."""

    parts: Mapping[str, Part]
    names: tuple[str, ...]
    notes: tuple[str, ...]


def checked(raw: Raw, form: Form) -> Checked:
    """Check and convert the splits of a source; raises InputError for what `read_samples` and `read_labels` refuse."""
    parts = [part for part in ("train", "val", "test") if f"x_{part}" in raw.arrays]
    samples, sample_notes = read_samples(raw.origin, {part: raw.arrays[f"x_{part}"] for part in parts}, form)
    if samples["train"].are_equal():
        raise InputError(f"{raw.origin}: all samples of x_train are equal: there is nothing to tell apart")
    labels, names, label_notes = read_labels(raw.origin, {part: raw.arrays[f"y_{part}"] for part in parts}, raw.names)
    for part in parts:
        if len(samples[part]) != len(labels[part]):
            raise InputError(
                f"{raw.origin}: y_{part} is for {len(labels[part])} samples, x_{part} holds {len(samples[part])}: one "
                "label a sample"
            )
    brought = [("validation", labels.get("val")), ("test", labels.get("test"))]
    absent = [absent_notes(found, part, names) for part, found in brought if found is not None]
    return Checked(
        parts={part: (samples[part], labels[part]) for part in parts},
        names=names,
        notes=(*raw.notes, *sample_notes, *label_notes, *chain(*absent)),
    )
