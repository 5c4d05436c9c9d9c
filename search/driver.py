"""The driver: trains candidates rung by rung, prunes the weak ones, concludes trials.

The random candidates at the start all finish the first rung before any goes on, so that the weak ones among them are
found by a comparison with all.

Only the driver writes trials and rungs of the search, so what it wrote it knows (`studies.history`) and nothing is read
back at a decision. All its state can be read from the database, so a killed study goes on where it was: finished rungs
are found in the ledger, unfinished trials are picked up first.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from kd.deploy.latency import architecture_latency_ms
from kd.distil.train import RungResult, RungTask, train_rung
from kd.students.curve import Epoch
from reports.facts.formats import counted
from search.candidates import Candidate, interrupted, next_candidate
from search.estimate import SearchEstimate
from search.pareto.pruner import ParetoPruner
from search.rungs import next_stretch, record_rung, rung_at
from search.samplers.sampler import Sampler, make_sampler
from search.session import Session
from space.errors import InputError, first_line
from studies.front import is_searched
from studies.history import History
from studies.records import Outcome
from studies.storage.ledger import Rung

FAILURES = 5
"""Consecutive failed trials after which the study stops: the fault is then not the candidates'."""

SHORT = 2.0
"""Seconds below which a rung is short: several workers then get theirs one ahead, so that none waits for the driver.

Longer rungs lose nothing by a wait of hundredths of a second, and gain by what is known when they are chosen. A single
worker is never ahead, so that its study does not depend on when it was killed.
"""


@dataclass(slots=True, kw_only=True, eq=False)
class _Search:
    """A search under way.

    Candidates that wait for a rung, failures in a row, and the seconds that a rung takes, by the last few.
    """

    session: Session
    history: History
    sampler: Sampler
    estimate: SearchEstimate
    waiting: list[Candidate]
    pruner: ParetoPruner
    failures: int = 0
    rung_seconds: float = field(default=math.inf)


def search(session: Session) -> None:
    """Train candidates until the study has its number of trials or its hours are over.

    When the hours are over, rungs in flight are finished and nothing else is begun: candidates that wait for their next
    rung are left as they are, unfinished, and the next run of the study goes on with them.

    Raises:
        InputError: after `FAILURES` failed trials in a row.
    """
    engine, progress, state = session.engine, session.progress, _begin(session)
    progress.trials = state.history.trials
    progress.phase("searching", state.estimate.seconds_left)
    while True:
        room = _room(state)
        while room > 0 and (candidate := _next(state)) is not None:
            epochs = session.store.config.search.rungs[candidate.rung]
            known = rung_at(state.history.rungs(candidate.training), epochs)
            if known is None:
                _submit(state, candidate)
                room -= 1
            else:
                _decide(state, candidate, known)
        if not engine.tickets:
            break
        progress.tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, Candidate)
            _receive(state, ticket, result)
    trials = state.history.trials
    if state.estimate.out_of_time() and not is_searched(trials, session.store.config):
        unfinished = counted(sum(trial.outcome == "unfinished" for trial in trials), "candidate")
        progress.note(f"the hours are over, {unfinished} unfinished: the same command goes on, for as many hours")


def _begin(session: Session) -> _Search:
    history = History(session.store)
    settings = session.store.config.search
    state = _Search(
        session=session,
        history=history,
        sampler=make_sampler(session.store),
        estimate=SearchEstimate(session, history),
        waiting=list(interrupted(history)),
        pruner=ParetoPruner(
            settings.rungs,
            settings.pruner,
            peers=settings.peers,
            slack=settings.slack,
            certainty=settings.certainty,
            reduction=settings.reduction,
        ),
    )
    for record in history.trials:
        for epoch in record.curve:
            if epoch.epoch in settings.rungs:
                _enter(state, record.number, epoch)
    return state


def _room(state: _Search) -> int:
    """How many more rungs to hand out."""
    engine = state.session.engine
    slots = engine.slots
    ahead = slots if slots > 1 and state.rung_seconds < SHORT else 0
    return slots + ahead - len(engine.tickets)


def _next(state: _Search) -> Candidate | None:
    """The candidate to train next; None when there is none, or no time."""
    history, note = state.history, state.session.progress.note
    if state.estimate.out_of_time():
        return None
    lost = next((candidate for candidate in state.waiting if not history.rungs(candidate.training)), None)
    if lost is not None:  # a stop took it from its worker: it is still the next
        state.waiting.remove(lost)
        return lost
    if history.start and (candidate := next_candidate(history, state.sampler, note)) is not None:
        return candidate
    return _promoted(state) or next_candidate(history, state.sampler, note)


def _submit(state: _Search, candidate: Candidate) -> None:
    """Have a worker train a candidate's next rung, or time it before its first, where the study minimises latency."""
    session, store, number = state.session, state.session.store, candidate.number
    if "latency_ms" in store.config.search.objectives and state.history.trials[number].latency_ms is None:
        session.engine.submit(candidate, architecture_latency_ms, candidate.architecture)
        return
    settings, rungs = store.config.search, state.history.rungs(candidate.training)
    stretch = next_stretch(store, candidate.training, rungs, settings.rungs[candidate.rung])
    task = RungTask(
        architecture=candidate.architecture,
        recipe=store.recipe(candidate.architecture.digest, params=state.history.trials[number].params),
        seed=settings.seed,
        start=stretch.start,
        stop=stretch.stop,
        views=store.views,
        device=session.device,
    )
    session.engine.submit(candidate, train_rung, task, stretch.state)


def _receive(state: _Search, candidate: Candidate, result: Any) -> None:
    """Record what a candidate's task returned: its latency, a `RungResult`, or the exception that it ended with."""
    store, rungs = state.session.store, state.session.store.config.search.rungs
    if isinstance(result, float):
        state.history.add_latency(candidate.number, result)
        _submit(state, candidate)
        return
    if isinstance(result, InputError):  # a damaged view, data that are gone: nothing that this candidate did
        raise result
    if not isinstance(result, RungResult):
        before = rungs[candidate.rung - 1] if candidate.rung else 0
        _fail(state, candidate, f"{type(result).__name__}: {result}", before)
        return
    if result.unrecorded:
        state.session.progress.note(f"{candidate.name}: its steps are not recorded ({result.unrecorded}), and slow")
    known = state.rung_seconds if state.rung_seconds < math.inf else result.seconds
    state.rung_seconds = (3 * known + result.seconds) / 4
    reached = rungs[candidate.rung] if result.failure else result.curve[-1].epoch
    rung = record_rung(store, candidate.training, reached, result, state.session.now)
    state.history.add_rung(candidate.number, rung)
    for listener in state.session.listeners:
        listener.trained(f"trial-{candidate.number}", rung.curve)
    if reached == rungs[candidate.rung]:
        _decide(state, candidate, rung)
    else:  # a lost checkpoint is there again
        _submit(state, candidate)


def _promoted(state: _Search) -> Candidate | None:
    """Take the candidate that waits for the lowest rung, the oldest first, and prune those that are weak by now."""
    settings, history = state.session.store.config.search, state.history
    while state.waiting:
        candidate = min(state.waiting, key=lambda c: (c.rung, c.number))
        state.waiting.remove(candidate)
        known = rung_at(history.rungs(candidate.training), settings.rungs[candidate.rung])
        if candidate.rung == 0 or known is not None:
            return candidate
        epochs = settings.rungs[candidate.rung - 1]
        if not state.pruner.should_prune(candidate.number, epochs):
            return candidate
        _conclude(state, candidate.number, "pruned", f"weak at rung {candidate.rung}", epochs)
        state.session.progress.note(f"{candidate.name}: pruned")
    return None


def _decide(state: _Search, candidate: Candidate, rung: Rung) -> None:
    """Conclude a candidate that failed or has finished its last rung, or let it wait for the next."""
    settings, note = state.session.store.config.search, state.session.progress.note
    if rung.failure is not None:
        _fail(state, candidate, rung.failure, rung.epochs)
        return
    state.failures, last = 0, rung.curve[-1]
    _enter(state, candidate.number, last)
    metric = settings.metric
    measure = "" if metric == "accuracy" else f", {metric.replace('_', ' ')} {100 * last.score(metric):.2f} %,"
    event = f"{candidate.name}: {100 * last.validation_accuracy:.2f} %{measure} after {counted(rung.epochs, 'epoch')}"
    if candidate.rung == len(settings.rungs) - 1:
        _conclude(state, candidate.number, "complete", "", rung.epochs)
        note(f"{event}, complete")
    else:
        state.waiting.append(replace(candidate, rung=candidate.rung + 1))
        note(event)


def _fail(state: _Search, candidate: Candidate, message: str, epochs: float) -> None:
    """Conclude a candidate that failed; what it trained up to the rung at `epochs` stays its own."""
    reason = first_line(message)
    _conclude(state, candidate.number, "failed", reason, epochs)
    state.session.progress.note(f"trial {candidate.number} failed: {reason}")
    state.failures += 1
    if state.failures >= FAILURES:
        raise InputError(f"{state.failures} trials in a row failed, the last with {reason}: fix it and run again")


def _conclude(state: _Search, number: int, outcome: Outcome, reason: str, epochs: float) -> None:
    history = state.history
    history.conclude(number, outcome, reason, epochs)
    for listener in state.session.listeners:
        listener.concluded(history.trials[number], history.identifier(number), history.trials)


def _enter(state: _Search, number: int, epoch: Epoch) -> None:
    merit = epoch.score(state.session.store.config.search.metric)
    record = state.history.trials[number]
    state.pruner.report(number, epoch.epoch, merit=merit, loss=epoch.validation_loss, size=record.sizes)
