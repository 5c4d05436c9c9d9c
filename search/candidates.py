"""Candidates: suggested by the study's sampler, checked against the budget, concluded with an outcome."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from search.samplers.sampler import Sampler, draw
from space.architecture import Architecture
from studies.history import History
from studies.storage.ledger import Training

EXHAUSTED = 500
"""Consecutive useless suggestions after which the search ends."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A student being trained, of the trial `number`, its training, and the rung (index) it is to finish next."""

    number: int
    architecture: Architecture
    parameters: int
    training: Training
    rung: int = 0

    @property
    def name(self) -> str:
        """How events name it."""
        return f"trial {self.number} {self.architecture.family}, {self.parameters:,} parameters"


def next_candidate(history: History, sampler: Sampler, note: Note) -> Candidate | None:
    """Draw until a suggestion is feasible and new; None when the study has its trials or the space is exhausted."""
    budget = history.store.config.budget
    while len(history.trials) - history.useless < history.store.config.search.trials:
        if history.useless_in_a_row >= EXHAUSTED:
            note(f"the last {EXHAUSTED} suggestions were all over budget or known: the space is exhausted")
            return None
        found, number = draw(sampler, history), len(history.trials)
        family = found.architecture.family
        if reason := budget.rejection_reason(found.architecture):
            history.add(found, "rejected", reason)
            note(f"trial {number} {family} rejected: {reason}")
        elif (twin := history.twin(found.architecture.digest)) is not None:
            history.add(found, "duplicate", f"same network as trial {twin}")
            note(f"trial {number} {family}: same network as trial {twin}")
        else:
            history.add(found)
            return _candidate(history, number)
    return None


def interrupted(history: History) -> Iterator[Candidate]:
    """Trials that a stopped run left, at the last rung they finished: its decision may not have been taken."""
    for record in history.trials:
        if record.outcome == "unfinished":
            done = {rung.epochs for rung in history.rungs(history.training(record.number))}
            finished = (i for i, epochs in enumerate(history.store.config.search.rungs) if epochs in done)
            yield _candidate(history, record.number, max(finished, default=0))


def _candidate(history: History, number: int, rung: int = 0) -> Candidate:
    record = history.trials[number]
    return Candidate(
        number=number,
        architecture=record.architecture,
        parameters=record.cost.parameters,
        training=history.training(number),
        rung=rung,
    )
