"""What the user sees while a study runs: a live display, or plain lines where there is no terminal."""

import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reports.front_chart import front_chart
from search.candidates import Candidate
from search.engine.engine import Engine
from space.describe import describe
from studies.front import front
from studies.jobs import TrainingJob
from studies.records import OUTCOMES, TrialRecord
from studies.store import Store

Estimate = Callable[[Sequence[TrialRecord]], float | None]
"""Seconds that what is left will take, by the trials so far; None when that is unknown."""


INTERVAL = 1.0
"""Seconds between two drawings of the display."""
BAR, SHOWN = 24, 16
"""Characters of a bar, and tasks in flight that are shown at most."""


class Progress:
    """Prints every event; on a terminal a display below shows trials, rungs running, the front, speed and time left.

    `trials` are those it shows; the display reads no other, so what they are taken from keeps them up to date.
    """

    def __init__(
        self, console: Console, store: Store, engine: Engine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Show a study and the engine that trains for it on `console`; `clock` gives seconds."""
        self._console, self._store, self._engine, self._clock = console, store, engine, clock
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._began, self._drawn = clock(), -math.inf
        self._lines: list[str] = []
        self.trials: Sequence[TrialRecord] = ()
        self._epochs_before = store.ledger.trained_epochs()
        self._phase: str = "starting"
        self._seconds_left: Estimate = _unknown
        self._submitted: dict[object, float] = {}
        self._reached: dict[object, float] = {}

    def __enter__(self) -> Self:
        """Start the display."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the display; the lines stay."""
        self._print()
        if self._live:
            self._live.stop()

    def note(self, line: str) -> None:
        """Print one event with the time since the start; above a display, when that is drawn next."""
        self._lines.append(f"{_hours(self._clock() - self._began):>8}  {line}")
        if self._live is None:
            self._print()

    def phase(self, name: str, seconds_left: Estimate | None = None) -> None:
        """Name what is being done now; `seconds_left` estimates from the trials how long it and the rest will take."""
        self._phase, self._seconds_left = name, seconds_left or _unknown
        self.note(name)
        self._print()

    def reached(self, ticket: Hashable, share: float) -> None:
        """Take note of how much of a whole training is done."""
        self._reached[ticket] = share

    def tick(self) -> None:
        """Redraw the display, at most every `INTERVAL`."""
        if self._live and self._clock() - self._drawn >= INTERVAL:
            self._drawn = self._clock()
            self._print()
            self._live.update(self._draw(), refresh=True)

    def headline(self, records: Sequence[TrialRecord]) -> str:
        """The phase, trials by outcome, the speed of all that trains, and the time left."""
        counts = Counter(record.outcome for record in records)
        trials = "  ".join(f"{outcome} {counts[outcome]}" for outcome in OUTCOMES if counts[outcome])
        elapsed, trained = self._clock() - self._began, self._store.ledger.trained_epochs() - self._epochs_before
        speed = f"{trained / elapsed if elapsed else 0:.2f} epochs/s"
        seconds = self._seconds_left(records)
        left = "time left unknown" if seconds is None else f"about {_hours(seconds)} left"
        return "  ·  ".join(part for part in (self._phase, trials, speed, left) if part)

    def _print(self) -> None:
        """Print the events so far: each print draws the display again, so above one they are printed together."""
        if self._lines:
            self._console.print(Text("\n".join(self._lines)), soft_wrap=True)
            self._lines.clear()

    def _draw(self) -> RenderableType:
        records, now = self.trials, self._clock()
        tickets = self._engine.tickets
        self._submitted = {ticket: self._submitted.get(ticket, now) for ticket in tickets}
        head, running = Text(self.headline(records)), Table.grid(padding=(0, 2))
        for ticket in tickets[:SHOWN]:
            share = self._share(ticket, now)
            bar = ProgressBar(total=1, completed=share, width=BAR) if share is not None else Text()
            running.add_row(*self._describe(ticket), bar)
        if len(tickets) > SHOWN:
            running.add_row(f"and {len(tickets) - SHOWN} more")
        leading = front(records, self._store.config.search.floor)
        if not leading:
            return Group(head, running)
        points = Table("parameters", "validation", "family", "layers", title="front", title_justify="left")
        for record in leading[-8:]:
            accuracy = f"{100 * (record.merit or 0):.2f} %"
            family = record.architecture.family
            points.add_row(f"{record.cost.parameters:,}", accuracy, family, describe(record.architecture))
        return Group(head, running, Text(), front_chart(records, leading), points)

    def _share(self, ticket: Hashable, now: float) -> float | None:
        """How much of a task is done: a training by its epochs, a rung by the seconds that an epoch of it takes."""
        if isinstance(ticket, TrainingJob):
            return self._reached.get(ticket, 0.0)
        if not isinstance(ticket, Candidate):
            return None
        record = self.trials[ticket.number]
        known = [record] if record.epochs else [trial for trial in self.trials if trial.epochs]
        epochs, rungs = sum(trial.epochs for trial in known), self._store.config.search.rungs
        if not epochs:
            return None
        expected = (rungs[ticket.rung] - record.epochs) * sum(trial.seconds for trial in known) / epochs
        return min(1.0, (now - self._submitted[ticket]) / expected) if expected > 0 else None

    def _describe(self, ticket: object) -> tuple[str, str]:
        if isinstance(ticket, Candidate):
            rungs = self._store.config.search.rungs
            what = f"{ticket.architecture.family}, {ticket.parameters:,} parameters"
            return f"trial {ticket.number}", f"{what}, to epoch {rungs[ticket.rung]:g} of {rungs[-1]:g}"
        if isinstance(ticket, TrainingJob):
            return ticket.name, f"{ticket.recipe.epochs} epochs"
        return f"view {ticket}", ""


def _unknown(_trials: Sequence[TrialRecord]) -> None:
    """Estimate of what cannot be estimated."""


def _hours(seconds: float) -> str:
    """Seconds as hours:minutes:seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
