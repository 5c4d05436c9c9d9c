"""A session: one run of the driver on one study."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from search.engine.engine import Engine
from search.listener import Listener
from search.progress import Progress
from studies.store import Store


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """The study, the engine that trains, the device it trains on, the display, and the time.

    `clock` gives seconds; `started` is what it gave when the command began, from which `search.hours` count, and
    `epoch` the seconds since 1970 when it gave 0. The `listeners` are told what happens.
    """

    store: Store
    engine: Engine
    device: str
    progress: Progress
    started: float
    clock: Callable[[], float] = time.monotonic
    listeners: tuple[Listener, ...] = ()
    epoch: float = field(default_factory=lambda: time.time() - time.monotonic())

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.epoch + self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.started
