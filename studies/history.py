"""The history of a study while it runs: read once, then extended by what the driver writes, never read again."""

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from space.architecture import Architecture
from space.sampling.distributions import Distribution
from space.sampling.domain import supported_families
from studies.front import front
from studies.records import Outcome, TrialRecord, trial_record
from studies.storage.ledger import Rung, Training, by_training
from studies.storage.trial_table import Facts, State
from studies.store import Store

USELESS = ("rejected", "duplicate")
"""Outcomes of suggestions that are no candidates."""

COLUMNS = ("parameters", "macs", "memory_bytes")
"""Costs that the dashboard has columns of."""

STATES: Mapping[Outcome, State] = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "rejected": "PRUNED",
    "duplicate": "PRUNED",
    "failed": "FAIL",
    "unfinished": "RUNNING",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A suggestion: its architecture, and the parameters it was drawn by with their distributions."""

    architecture: Architecture
    params: Mapping[str, Any]
    distributions: Mapping[str, Distribution]


class History:
    """All trials of a study that one process runs: what it writes to the database it also keeps here.

    Attributes:
        store: the study.
        trials: records of all trials, by number; the list is extended and its items replaced, it stays the same list.
        front: Pareto set of the complete trials, smallest first; another tuple whenever it changes.
        eligible: complete trials that reach the floor (all if none does), by parameters and number.
        useless: number of suggestions that were rejected or duplicates.
        useless_in_a_row: how many of them are the last suggestions.
        results: finished rungs in the order in which they came in, each with the number of its trial.
    """

    def __init__(self, store: Store) -> None:
        """Read the history of a study, in a few queries."""
        self.store, self._table = store, store.trials
        self.trials: list[TrialRecord] = []
        self.front: tuple[TrialRecord, ...] = ()
        self.eligible: list[TrialRecord] = []
        self.useless = self.useless_in_a_row = 0
        self.results: list[tuple[int, Rung]] = []
        self._ids: list[int] = []
        results = store.ledger.results(store.views.folder.name, store.config.search.seed)
        self._rungs = by_training(results)
        self._by_digest: dict[str, int] = {}
        for row in self._table.rows():
            self._append(row.id, trial_record(store, row, self._rungs))
        numbers = {self.training(trial.number): trial.number for trial in reversed(self.trials)}
        for training, rung in results:
            if training in numbers and rung.failure is None:
                self.results.append((numbers[training], rung))

    @property
    def start(self) -> Mapping[str, Any]:
        """What the next suggestion must be: of the family whose turn it is, in the study's start, then nothing."""
        number, config = len(self.trials), self.store.config
        if number >= config.search.startup:
            return {}
        families = supported_families(config.domain, self.store.data.shape)
        return {"family": families[number % len(families)]}

    def twin(self, digest: str) -> int | None:
        """Number of the first trial with a network."""
        return self._by_digest.get(digest)

    def training(self, number: int) -> Training:
        """Ledger key of a trial's training."""
        record = self.trials[number]
        return self.store.training(record.architecture.digest, params=record.params)

    def identifier(self, number: int) -> int:
        """A trial's identifier in the database."""
        return self._ids[number]

    def rungs(self, training: Training) -> Sequence[Rung]:
        """Rungs of a training run, shortest first."""
        return self._rungs.get(training, ())

    def add(self, draw: Draw, outcome: Outcome = "unfinished", reason: str = "") -> TrialRecord:
        """Put a suggestion on record, with what becomes of it."""
        architecture, cost, number = draw.architecture, draw.architecture.cost(), len(self.trials)
        record = TrialRecord(
            number=number,
            outcome=outcome,
            reason=reason,
            architecture=architecture,
            cost=cost,
            epochs=0,
            accuracy=None,
            loss=None,
            seconds=0,
            curve=(),
            params=draw.params,
            metric=self.store.config.search.metric,
            objectives=self.store.config.search.objectives,
        )
        attributes = {"family": architecture.family, **{name: getattr(cost, name) for name in COLUMNS}}
        if outcome != "unfinished":
            attributes |= {"reason": reason, "epochs": 0, "outcome": outcome}
        facts = Facts(
            state=STATES[outcome],
            attributes=attributes,
            constraints=self.store.config.budget.violations(architecture),
            hidden={"digest": architecture.digest, "architecture": architecture.to_json()},
        )
        identifier = self._table.add(number, draw.params, draw.distributions, facts)
        if outcome not in USELESS:
            training = self.store.training(architecture.digest, params=draw.params)
            record = record.after(self.rungs(training), max(self.store.config.search.rungs))
        self._append(identifier, record)
        return record

    def add_latency(self, number: int, latency_ms: float) -> None:
        """Put on record how many milliseconds a trial's student takes."""
        self._table.annotate({self._ids[number]: {"latency_ms": latency_ms}})
        self.trials[number] = replace(self.trials[number], latency_ms=latency_ms)

    def add_rung(self, number: int, rung: Rung) -> None:
        """Take note of a rung of a trial's training that is in the ledger."""
        training = self.training(number)
        known = self._rungs.setdefault(training, [])
        if all(other.epochs != rung.epochs for other in known):  # as in the ledger, the first one stays
            insort(known, rung, key=lambda other: other.epochs)
            if rung.failure is None:
                self.results.append((number, rung))
        self.trials[number] = self.trials[number].after(known, max(self.store.config.search.rungs))

    def conclude(self, number: int, outcome: Outcome, reason: str, epochs: float) -> None:
        """Record how a trial ended, and up to how many epochs of its training count as its own."""
        settings = self.store.config.search
        record = replace(self.trials[number], outcome=outcome, reason=reason)
        record = record.after(self.rungs(self.training(number)), epochs)
        attributes: dict[str, Any] = {"reason": reason, "epochs": epochs, "outcome": outcome}
        attributes |= {"rung": sum(rung <= epochs for rung in settings.rungs), "seconds": round(record.seconds, 2)}
        if record.accuracy is not None:
            attributes |= {"validation_accuracy": record.accuracy, "validation_loss": record.loss}
            attributes["score"] = record.merit
        values: tuple[float, ...] = ()
        constraints: dict[str, float] = {}
        if outcome == "complete":
            assert record.merit is not None, "a complete trial has been trained"
            values = (record.merit, *record.sizes)
            constraints = {"floor": settings.floor - record.merit}
        facts = Facts(state=STATES[outcome], attributes=attributes, constraints=constraints, values=values)
        self._table.conclude(self._ids[number], facts)
        self.trials[number] = record
        self._complete(record)

    def _append(self, identifier: int, record: TrialRecord) -> None:
        assert record.number == len(self.trials), "trials are written by the driver alone, without a gap"
        self._ids.append(identifier)
        self.trials.append(record)
        self._by_digest.setdefault(record.architecture.digest, record.number)
        wasted = record.outcome in USELESS
        self.useless += wasted
        self.useless_in_a_row = self.useless_in_a_row + 1 if wasted else 0
        self._complete(record)

    def _complete(self, record: TrialRecord) -> None:
        """Keep the front and the eligible trials, if a trial is complete."""
        if record.outcome != "complete" or record.merit is None:
            return
        floor = self.store.config.search.floor
        known = self.eligible[0].merit if self.eligible else None
        if known is not None and known < floor <= record.merit:
            self.eligible.clear()
        if known is None or record.merit >= floor or known < floor:
            insort(self.eligible, record, key=lambda other: (other.cost.parameters, other.number))
        found = tuple(front((*self.front, record), floor))
        if found != self.front:
            self.front = found
