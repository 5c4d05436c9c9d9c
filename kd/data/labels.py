"""Labels in the forms that people have, brought into one: int64 (n,), 0, 1, … of named classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.classes import composed, natural, order_note
from space.errors import InputError

Labels = NDArray[np.int64]


def read_labels(
    origin: str, given: Mapping[str, NDArray[Any]], names: tuple[str, ...]
) -> tuple[dict[str, Labels], tuple[str, ...], tuple[str, ...]]:
    """Labels of every split, names of the classes, and notes.

    Taken are whole numbers of any type from 0 or 1, or -1 and 1, (n,) or (n, 1); one-hot rows, (n, classes); and text,
    (n,) or (n, 1), without blanks around it, whose natural order makes the labels.

    Args:
        origin: where they were read.
        given: the labels as found, by split, "train" among them.
        names: of the classes, where the source has any; () otherwise.

    Raises:
        InputError: for anything else, labels that are not 0..classes-1, and a class without a training sample.
    """
    columns = {part: _column(origin, part, y) for part, y in given.items()}
    if "" in names:
        raise InputError(f"{origin}: class {names.index('')} has an empty name: give every class one")
    for part, column in columns.items():
        if column.dtype.kind == "U" and (column == "").any():
            raise InputError(f"{origin}: y_{part} holds empty text: leave samples without a label out")
    width = {array.shape[1] for array in given.values() if array.ndim == 2 and array.shape[1] > 1}
    if len(width) > 1:
        raise InputError(f"{origin}: the labels have {sorted(width)} columns, one a class: make the splits equal")
    notes = tuple(f"y_{part} is one-hot" for part, y in given.items() if y.ndim == 2 and y.shape[1] > 1)
    if columns["train"].dtype.kind == "U":
        found = natural(set(columns["train"].tolist()))
        if names and set(names) != set(found):
            raise InputError(f"{origin}: the class names are {names[:8]}, y_train holds {found[:8]}: make them equal")
        names = names or tuple(found)
        notes += order_note(list(names))
        columns = {part: _numbered(origin, part, y, names) for part, y in columns.items()}
    labels = {part: _whole(origin, part, y) for part, y in columns.items()}
    labels, counted = _from_zero(origin, labels, len(names) or max(width, default=0))
    notes += (f"labels {', '.join(counted[:12])} are classes 0 to {len(counted) - 1} in this order",) if counted else ()
    classes = _count_classes(origin, labels, len(names) or max(width, default=0))
    return labels, names or counted or tuple(map(str, range(classes))), (*notes, *_alike(names))


def _column(origin: str, part: str, y: NDArray[Any]) -> NDArray[Any]:
    """Labels as one column of numbers or text."""
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "backslashreplace")
    if y.dtype.kind == "U":
        y = np.array([composed(text.strip()) for text in y.ravel().tolist()], dtype=np.str_).reshape(y.shape)
    if y.dtype.kind in "biufU" and y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "biuf" and y.shape[1] > 1:
        if np.isin(y, (0, 1)).all() and (y.sum(1) == 1).all():
            return np.asarray(y.argmax(1))
        raise InputError(
            f"{origin}: y_{part} has {y.shape[1]} columns that are not one-hot (one 1 a row): of probabilities keep "
            "y.argmax(1), and of several labels a sample choose one"
        )
    if y.ndim != 1 or y.dtype.kind not in "biufU":
        raise InputError(f"{origin}: y_{part} is {y.dtype} of shape {y.shape}, must be one integer or text a sample")
    return y


def _numbered(origin: str, part: str, y: NDArray[Any], names: tuple[str, ...]) -> NDArray[Any]:
    numbers = {name: number for number, name in enumerate(names)}
    unknown = [text for text in np.unique(y.astype(np.str_)).tolist() if text not in numbers]
    if unknown:
        raise InputError(f"{origin}: y_{part} holds labels that y_train lacks: {unknown[:12]}")
    return np.array([numbers[text] for text in y.astype(np.str_).tolist()], dtype=np.int64)


def _whole(origin: str, part: str, y: NDArray[Any]) -> Labels:
    if y.dtype.kind == "U":
        raise InputError(f"{origin}: y_{part} is text and y_train is numbers: make them equal")
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.floor(y)).all()):
        raise InputError(
            f"{origin}: y_{part} is {y.dtype} and holds values that are no whole numbers, "
            "must be classes: leave samples without one out"
        )
    return y.astype(np.int64)


def _from_zero(origin: str, labels: dict[str, Labels], expected: int) -> tuple[dict[str, Labels], tuple[str, ...]]:
    """Labels counted from 1, or -1 and 1, as labels from 0, and as what they were counted; () where they were so."""
    present = np.unique(labels["train"])
    from_one = np.array_equal(present, np.arange(1, len(present) + 1))
    if len(present) < 2 or expected not in (0, len(present)) or not (from_one or present.tolist() == [-1, 1]):
        return labels, ()
    _check_known(origin, labels, present)
    return {part: np.searchsorted(present, y).astype(np.int64) for part, y in labels.items()}, tuple(
        map(str, present.tolist())
    )


def _alike(names: tuple[str, ...]) -> tuple[str, ...]:
    """A note on classes whose names differ by upper and lower case alone."""
    seen: dict[str, str] = {}
    pairs = [(known, name) for name in names if (known := seen.setdefault(name.casefold(), name)) != name]
    return tuple(f"{known} and {name} are two classes: if they are one, give them one name" for known, name in pairs)


def _check_known(origin: str, labels: Mapping[str, Labels], present: Labels) -> None:
    for part, y in labels.items():
        unknown = np.setdiff1d(y, present)
        if len(unknown):
            raise InputError(f"{origin}: y_{part} holds labels that y_train lacks: {unknown[:12].tolist()}")


def _count_classes(origin: str, labels: Mapping[str, Labels], expected: int) -> int:
    present = np.unique(labels["train"])
    classes = expected or len(present)
    if len(present) < 2:
        raise InputError(f"{origin}: y_train holds one label only, {present.tolist()}: there is nothing to tell apart")
    if not np.array_equal(present, np.arange(classes)):
        way_out = ""
        if expected:
            way_out = f": there are {expected} class names or columns"
        else:
            way_out = " (y = numpy.unique(y, return_inverse=True)[1] makes them so, in every split alike)"
        raise InputError(
            f"{origin}: y_train holds labels {present[:12].tolist()}, must be 0..{classes - 1}, each at "
            f"least once{way_out}"
        )
    _check_known(origin, labels, present)
    return classes
