"""An engine that trains nothing: a function or a table says what every task gives, and a clock is moved on.

It drives the real driver, store and sampler in a second, for tests and to replay searches.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from heapq import heapreplace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    ticket: Hashable
    result: Any
    ends: float


class FakeEngine:
    """As many workers as asked for, in simulated time.

    `simulate` is called with the arguments of a task, in place of its function, and returns its result: in a search it
    gets a `kd.distil.train.RungTask` and a training state and gives a `RungResult`. The task takes the `seconds` of
    that result; without any it takes none, as does a task whose simulation raises, which then ends with that exception,
    like one whose worker was lost. The same calls give the same results at the same moments: of tasks that end together
    the one submitted first comes first.
    """

    def __init__(self, simulate: Callable[..., Any], workers: int = 1) -> None:
        """Start at second 0."""
        self._simulate, self._workers = simulate, workers
        self._now, self._free_at = 0.0, [0.0] * workers  # a heap
        self._flying: list[_Task] = []

    def clock(self) -> float:
        """Seconds of simulated time since the start; the clock of a session with this engine."""
        return self._now

    @property
    def slots(self) -> int:
        """How many tasks run at once."""
        return self._workers

    @property
    def free(self) -> int:
        """How many more tasks would run at once."""
        return self.slots - len(self._flying)

    @property
    def tickets(self) -> list[Hashable]:
        """Tickets of the tasks in flight, in the order in which they were submitted."""
        return [task.ticket for task in self._flying]

    def submit(self, ticket: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Simulate a task; it begins now, or when the first slot is free."""
        try:
            result = self._simulate(*arguments)
        except Exception as error:
            result = error
        ends = max(self._now, self._free_at[0]) + float(getattr(result, "seconds", 0.0))
        heapreplace(self._free_at, ends)
        self._flying.append(_Task(ticket=ticket, result=result, ends=ends))

    def finished(self, seconds: float) -> list[tuple[Hashable, Any]]:
        """Move on to the end of the next task, by at most `seconds`; tickets and results of the tasks that ended."""
        if not self._flying:
            return []
        self._now = max(self._now, min(self._now + seconds, min(task.ends for task in self._flying)))
        ended = [task for task in self._flying if task.ends <= self._now]
        self._flying = [task for task in self._flying if task.ends > self._now]
        return [(task.ticket, task.result) for task in sorted(ended, key=lambda task: task.ends)]
