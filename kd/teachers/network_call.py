"""A teacher that can be called, before it is known what it takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from kd.teachers.source import Layout, Scale

Forward = Callable[[Tensor, Tensor | None], object]
"""From samples as the teacher takes them, and their places in the training split, to whatever it returns."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """How a teacher is called.

    `layouts` are those that its input may have, the likeliest first, empty where it takes `kd.data.dataset.values` and
    no setting of the input applies; `scale` is the one that its input asks for, None where it does not tell.
    """

    forward: Forward
    layouts: tuple[Layout, ...] = ()
    scale: Scale | None = None
