"""What a teacher gives: one of its outputs as rows of logits, a column a class of the data."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from kd.data.dataset import DataSet
from kd.teachers.source import TeacherSource
from space.errors import InputError

Kind = Literal["logits", "probabilities", "percentages"]

SMALLEST = 1e-12
"""Probability that one of zero is taken for: its logarithm must be finite."""

TOLERANCE = 5e-3
"""How far from 1 probabilities may sum up that were computed, or stored, in half precision."""


def pick(given: object, output: str, batch: int, columns: int) -> Tensor:
    """The output that holds the logits: the one named, else the one that can only be it.

    Args:
        given: what a network returned: a tensor, a tuple or list, a mapping, or an object with the attribute `logits`.
        output: key, attribute or position of the one to take; "" to choose.
        batch: of how many samples.
        columns: how many logits a sample has.

    Raises:
        InputError: where there is no such output, or several could be meant.
    """
    if output:
        return _named(given, output)
    if isinstance(given, Tensor):
        return given
    if isinstance(given, Mapping):
        if isinstance(found := given.get("logits"), Tensor):
            return found
        tensors = {str(key): value for key, value in given.items() if isinstance(value, Tensor)}
        if len(tensors) == 1:
            return next(iter(tensors.values()))
        fits = {k: v for k, v in tensors.items() if v.is_floating_point() and _fits(v, batch, columns)}
        if len(fits) == 1:
            return next(iter(fits.values()))
        listed = ", ".join(f"{key} {tuple(value.shape)}" for key, value in tensors.items())
        raise InputError(
            f"its outputs are {listed or 'no tensors'}, {len(fits)} of shape ({batch}, {columns}): "
            "name one with --set teacher.output=NAME"
        )
    if isinstance(given, list | tuple):
        if (first := next((item for item in given if isinstance(item, Tensor)), None)) is not None:
            return first
    elif isinstance(found := getattr(given, "logits", None), Tensor):
        return found
    raise InputError(f"it gives a {type(given).__name__} without a tensor: it must return its logits")


def _named(given: object, output: str) -> Tensor:
    found: object = None
    if isinstance(given, Mapping):
        found = given.get(output)
        names = ", ".join(map(str, given))
    elif isinstance(given, list | tuple) and not hasattr(given, output):
        found = given[int(output)] if output.isdecimal() and int(output) < len(given) else None
        names = f"0 to {len(given) - 1}"
    else:
        found = getattr(given, output, None) if not isinstance(given, Tensor) else None
        names = "one without a name" if isinstance(given, Tensor) else type(given).__name__
    if not isinstance(found, Tensor):
        raise InputError(
            f"teacher.output = '{output}' is none of its outputs ({names}): name another, or leave it away"
        )
    return found


def _fits(tensor: Tensor, batch: int, columns: int) -> bool:
    return tensor.numel() == batch * columns and tensor.shape[0] in (batch, columns)


def rows(given: Tensor, batch: int, columns: int) -> Tensor:
    """Float32 rows (batch, columns) of what was picked; as it is where its shape allows none.

    Trailing axes of one cell, and the one of a single sample that was squeezed away, are mended.
    """
    given = given.float() if given.is_floating_point() else given
    if given.numel() == batch * columns and (given.shape[:1] == (batch,) or batch == 1):
        return given.reshape(batch, columns)
    if columns == 2 and given.numel() == batch:  # one column for two classes: the second's
        return given.reshape(batch, 1)
    return given


def kind_of(given: Tensor) -> Kind:
    """What rows (batch, columns) of many samples are; a single column counts as probabilities within 0..1."""
    if not bool(given.isfinite().all()) or float(given.min()) < 0:
        return "logits"
    if given.shape[1] == 1:
        return "probabilities" if float(given.max()) <= 1 else "logits"
    total = given.sum(1)
    for sum_of_row, kind in ((1.0, "probabilities"), (100.0, "percentages")):
        if float((total / sum_of_row - 1).abs().max()) < TOLERANCE:
            return kind  # type: ignore[return-value]
    return "logits"


def to_logits(given: Tensor, kind: Kind, order: Tensor | None) -> Tensor:
    """Rows as logits (batch, classes): the logarithm of probabilities, columns in the order of the data's classes."""
    if given.shape[1] == 1:
        ones = 1 - given if kind == "probabilities" else torch.zeros_like(given)
        given = torch.cat([ones, given], dim=1)
    if kind != "logits":
        given = (given / (100 if kind == "percentages" else 1)).clamp_min(SMALLEST).log()
    return given if order is None else given[:, order.to(given.device)]


def column_order(source: TeacherSource, data: DataSet) -> Tensor | None:
    """Column of each of the data's classes, int64 (classes,), as `source.classes` says it; None where it says nothing.

    Raises:
        InputError: for a class that the data do not have, or one that is there twice or not at all.
    """
    if not source.classes:
        return None
    columns: dict[int, int] = {}
    for column, name in enumerate(source.classes):
        if name == "":
            continue
        index = name if isinstance(name, int) else data.names.index(name) if name in data.names else -1
        if not 0 <= index < data.classes or index in columns:
            twice = "is there twice" if index in columns else "is no class of the data"
            raise InputError(f"teacher.classes: {name!r} {twice}: give names or indices of {_listed(data)}")
        columns[index] = column
    missing = [data.names[index] for index in range(data.classes) if index not in columns]
    if missing:
        raise InputError(f"teacher.classes: no column is of class {missing[0]!r}: give all of {_listed(data)}")
    return torch.tensor([columns[index] for index in range(data.classes)])


def _listed(data: DataSet) -> str:
    shown = ", ".join(data.names[:20])
    return f"{shown} … ({data.classes})" if data.classes > 20 else f"{shown} (0 to {data.classes - 1})"
