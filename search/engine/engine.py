"""What an engine is: tasks in flight, each under a ticket of the caller's."""

from collections.abc import Callable, Hashable
from typing import Any, Protocol


class Engine(Protocol):
    """Runs functions elsewhere, as many at once as it has slots."""

    @property
    def slots(self) -> int:
        """How many tasks run at once, at least one."""

    @property
    def free(self) -> int:
        """How many more tasks would run at once."""

    @property
    def tickets(self) -> list[Hashable]:
        """Tickets of the tasks in flight, in the order in which they were submitted."""

    def submit(self, ticket: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Run `function(*arguments)` on a worker."""

    def finished(self, seconds: float) -> list[tuple[Hashable, Any]]:
        """Tickets with results, or the exceptions tasks ended with; waits at most `seconds` for the first."""
