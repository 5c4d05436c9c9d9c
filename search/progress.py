"""What the user sees while a study runs: a live display, or plain lines where there is no terminal."""

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.candidates import Candidate
from search.driver import retraining_seconds
from search.engine.dask import Engine
from space.describe import describe
from studies.front import front
from studies.jobs import TrainingJob
from studies.records import OUTCOMES, TrialRecord, trial_records
from studies.store import Store


class Progress:
    """Prints every event; on a terminal a display below shows trials, rungs running, the front, speed and time left."""

    def __init__(self, console: Console, store: Store) -> None:
        """Show a study on `console`."""
        self._console, self._store = console, store
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._began = time.monotonic()
        self._epochs_before = self._epochs(trial_records(store))
        self._phase = "starting"

    def __enter__(self) -> Self:
        """Start the display."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the display; the lines stay."""
        if self._live:
            self._live.stop()

    def note(self, line: str) -> None:
        """Print one event with the time since the start."""
        self._console.print(Text(f"{self._clock(time.monotonic() - self._began):>8}  {line}"), soft_wrap=True)

    def phase(self, name: str) -> None:
        """Name what is being done now."""
        self._phase = name
        self.note(name)

    def tick(self, engine: Engine) -> None:
        """Redraw the display."""
        if self._live:
            self._live.update(self._draw(engine), refresh=True)

    def _draw(self, engine: Engine) -> RenderableType:
        records = trial_records(self._store)
        counts = Counter(record.outcome for record in records)
        elapsed = time.monotonic() - self._began
        speed = (self._epochs(records) - self._epochs_before) / elapsed
        trials = "  ".join(f"{outcome} {counts[outcome]}" for outcome in OUTCOMES if counts[outcome])
        head = Text(f"{self._phase}  ·  {trials}  ·  {speed:.2f} epochs/s  ·  {self._left(records, engine, elapsed)}")
        running = Table.grid(padding=(0, 2))
        for ticket in engine.tickets:
            running.add_row("running", *self._describe(ticket))
        leading = front(records, self._store.config.search.floor)[-8:]
        if not leading:
            return Group(head, running)
        points = Table("parameters", "validation", "family", "layers", title="front", title_justify="left")
        for record in leading:
            accuracy = f"{100 * (record.accuracy or 0):.2f} %"
            family = record.architecture.family
            points.add_row(f"{record.cost.parameters:,}", accuracy, family, describe(record.architecture))
        return Group(head, running, points)

    def _describe(self, ticket: object) -> tuple[str, str]:
        if isinstance(ticket, Candidate):
            rungs = self._store.config.search.rungs
            what = f"{ticket.architecture.family}, {ticket.parameters:,} parameters"
            return f"trial {ticket.trial.number}", f"{what}, to epoch {rungs[ticket.rung]} of {rungs[-1]}"
        if isinstance(ticket, TrainingJob):
            return ticket.name, f"{ticket.recipe.epochs} epochs"
        return f"view {ticket}", ""

    def _left(self, records: list[TrialRecord], engine: Engine, elapsed: float) -> str:
        settings = self._store.config.search
        over = sum(r.outcome in ("complete", "pruned", "failed") for r in records)
        if over == 0:
            return "time left unknown"
        per_trial = sum(r.seconds for r in records) / over / engine.slots
        searching = max(0, settings.trials - over) * per_trial
        if settings.hours:
            searching = min(searching, max(0.0, settings.hours * 3600 - elapsed))
        return f"about {self._clock(searching + retraining_seconds(self._store, engine.slots))} left"

    @staticmethod
    def _epochs(records: list[TrialRecord]) -> float:
        return sum((record.epochs for record in records), start=0.0)

    @staticmethod
    def _clock(seconds: float) -> str:
        minutes, rest = divmod(int(seconds), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
