"""The driver: trains candidates rung by rung, prunes the weak ones, concludes trials.

The random candidates at the start all finish the first rung before any goes on, so that the weak ones among them are
found by a comparison with all.

Only the driver writes to Optuna and the ledger. All its state can be read back from there, so a killed study goes on
where it was: finished rungs are found in the ledger, trials still RUNNING are picked up first.
"""

from dataclasses import dataclass, replace
from typing import Any

from kd.distil.train import RungResult, RungTask, train_rung
from kd.students.curve import Epoch
from reports.facts.formats import counted
from search.candidates import Candidate, conclude, interrupted, is_starting, next_candidate, training_of
from search.estimate import seconds_to_deadline
from search.pareto_pruner import Standing, is_weak
from search.rungs import known_rung, next_stretch, record_rung
from search.session import Session
from space.errors import InputError, first_line
from studies.front import is_searched
from studies.ledger import Rung
from studies.records import trial_records
from studies.store import Store

FAILURES = 5
"""Consecutive failed trials after which the study stops: the fault is then not the candidates'."""

Standings = dict[float, dict[int, Standing]]
"""Standings of all trained trials by rung (epochs) and trial number."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Search:
    """A search under way: candidates that wait for a rung, how all stand at every rung, failures in a row."""

    session: Session
    waiting: list[Candidate]
    standings: Standings
    failures: int = 0


def search(session: Session) -> None:
    """Train candidates until the study has its number of trials or its hours are over.

    When the hours are over, rungs in flight are finished and nothing else is begun: candidates that wait for their next
    rung are left as they are, unfinished, and the next run of the study goes on with them.

    Raises:
        InputError: after `FAILURES` failed trials in a row.
    """
    store, engine, progress = session.store, session.engine, session.progress
    waiting = list(interrupted(store, progress.note))
    state = _Search(session=session, waiting=waiting, standings=_standings(store))
    while True:
        while engine.free > 0 and (candidate := _next(state)) is not None:
            known = known_rung(store, training_of(store, candidate), store.config.search.rungs[candidate.rung])
            if known is None:
                _submit(session, candidate)
            else:
                _decide(state, candidate, known)
        if not engine.tickets:
            break
        progress.tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, Candidate)
            _receive(state, ticket, result)
    trials = trial_records(store)
    if _out_of_time(session) and not is_searched(trials, store.config):
        unfinished = counted(sum(trial.outcome == "unfinished" for trial in trials), "candidate")
        progress.note(f"the hours are over, {unfinished} unfinished: the same command goes on, for as many hours")


def _next(state: _Search) -> Candidate | None:
    """The candidate to train next; None when there is none, or no time."""
    store, note = state.session.store, state.session.progress.note
    if _out_of_time(state.session):
        return None
    if is_starting(store) and (candidate := next_candidate(store, note)) is not None:
        return candidate
    return _promoted(state) or next_candidate(store, note)


def _submit(session: Session, candidate: Candidate) -> None:
    store, settings = session.store, session.store.config.search
    stretch = next_stretch(store, training_of(store, candidate), settings.rungs[candidate.rung])
    task = RungTask(
        architecture=candidate.architecture,
        recipe=store.recipe(candidate.architecture.digest),
        seed=settings.seed,
        start=stretch.start,
        stop=stretch.stop,
        views=store.views,
        device=session.device,
    )
    session.engine.submit(candidate, train_rung, task, stretch.state)


def _receive(state: _Search, candidate: Candidate, result: Any) -> None:
    """Record what a candidate's task returned, a `RungResult` or the exception that it ended with."""
    store, rungs = state.session.store, state.session.store.config.search.rungs
    if isinstance(result, InputError):  # a damaged view, data that are gone: nothing that this candidate did
        raise result
    if not isinstance(result, RungResult):
        before = rungs[candidate.rung - 1] if candidate.rung else 0
        _fail(state, candidate, f"{type(result).__name__}: {result}", before)
        return
    reached = rungs[candidate.rung] if result.failure else result.curve[-1].epoch
    rung = record_rung(store, training_of(store, candidate), reached, result)
    if reached == rungs[candidate.rung]:
        _decide(state, candidate, rung)
    else:  # a lost checkpoint is there again
        _submit(state.session, candidate)


def _promoted(state: _Search) -> Candidate | None:
    """Take the candidate that waits for the lowest rung, the oldest first, and prune those that are weak by now."""
    store, settings = state.session.store, state.session.store.config.search
    while state.waiting:
        candidate = min(state.waiting, key=lambda c: (c.rung, c.trial.number))
        state.waiting.remove(candidate)
        if candidate.rung == 0 or known_rung(store, training_of(store, candidate), settings.rungs[candidate.rung]):
            return candidate
        epochs, number = settings.rungs[candidate.rung - 1], candidate.trial.number
        others = dict(state.standings[epochs])
        if not is_weak(others.pop(number), others.values(), settings.peers, settings.slack):
            return candidate
        conclude(store, candidate, "pruned", f"weak at rung {candidate.rung}", epochs)
        state.session.progress.note(f"{_name(candidate)}: pruned")
    return None


def _decide(state: _Search, candidate: Candidate, rung: Rung) -> None:
    """Conclude a candidate that failed or has finished its last rung, or let it wait for the next."""
    store, trial = state.session.store, candidate.trial
    settings, note = store.config.search, state.session.progress.note
    if rung.failure is not None:
        _fail(state, candidate, rung.failure, rung.epochs)
        return
    state.failures, last = 0, rung.curve[-1]
    score = last.score(settings.metric)
    _enter(state.standings, trial.number, last, score, candidate.parameters)
    trial.set_user_attr("validation_accuracy", last.validation_accuracy)
    trial.set_user_attr("validation_loss", last.validation_loss)
    trial.set_user_attr("score", score)
    measure = "" if settings.metric == "accuracy" else f", {settings.metric.replace('_', ' ')} {100 * score:.2f} %,"
    event = f"{_name(candidate)}: {100 * last.validation_accuracy:.2f} %{measure} after {counted(rung.epochs, 'epoch')}"
    if candidate.rung == len(settings.rungs) - 1:
        if "floor" not in trial.constraints:
            trial.set_constraint("floor", settings.floor - score)
        conclude(store, candidate, "complete", "", rung.epochs)
        note(f"{event}, complete")
    else:
        state.waiting.append(replace(candidate, rung=candidate.rung + 1))
        note(event)


def _fail(state: _Search, candidate: Candidate, message: str, epochs: float) -> None:
    """Conclude a candidate that failed; what it trained up to the rung at `epochs` stays its own."""
    reason = first_line(message)
    conclude(state.session.store, candidate, "failed", reason, epochs)
    state.session.progress.note(f"trial {candidate.trial.number} failed: {reason}")
    state.failures += 1
    if state.failures >= FAILURES:
        raise InputError(f"{state.failures} trials in a row failed, the last with {reason}: fix it and run again")


def _name(candidate: Candidate) -> str:
    return f"trial {candidate.trial.number} {candidate.architecture.family}, {candidate.parameters:,} parameters"


def _out_of_time(session: Session) -> bool:
    store = session.store  # whose trials are read only where there is a limit
    return store.config.search.hours is not None and seconds_to_deadline(session, trial_records(store)) < 0


def _standings(store: Store) -> Standings:
    standings: Standings = {}
    for record in trial_records(store):
        for epoch in record.curve:
            if epoch.epoch in store.config.search.rungs:
                score = epoch.score(store.config.search.metric)
                _enter(standings, record.number, epoch, score, record.cost.parameters)
    return standings


def _enter(standings: Standings, number: int, epoch: Epoch, score: float, parameters: int) -> None:
    standings.setdefault(epoch.epoch, {})[number] = Standing(
        number=number, accuracy=score, loss=epoch.validation_loss, parameters=parameters
    )
