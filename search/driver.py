"""The driver: trains candidates rung by rung, prunes the weak, tells the study.

The random candidates at the start all finish the first rung before any goes on: compared with all of them, fewer do.

Only the driver writes to Optuna and the ledger. All its state can be read back from there, so a killed study goes on
where it was: finished rungs are found in the ledger, trials still RUNNING are picked up first.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from kd.distil.train import RungResult, RungTask, train_rung
from kd.students.curve import Epoch
from reports.formats import counted
from search.candidates import Candidate, Note, conclude, interrupted, is_starting, next_candidate, training_of
from search.engine.dask import Engine
from search.pareto_pruner import Standing, is_weak
from search.rungs import finished_rung, record_rung, state_before
from space.errors import InputError, first_line
from studies.front import chosen
from studies.ledger import Rung
from studies.records import trial_records
from studies.store import Store

FAILURES = 5
"""Consecutive failed trials after which the study stops: the fault is then not the candidates'."""

Standings = dict[float, dict[int, Standing]]
"""Standings of all trained trials by rung (epochs) and trial number."""


def search(store: Store, engine: Engine, started: float, device: str, note: Note, tick: Callable[[], None]) -> None:
    """Train candidates until the study has its number of trials or its hours are over.

    Args:
        store: the study; its sampler must be set.
        engine: runs the rungs.
        started: when the run began, by the monotonic clock.
        device: where students are trained.
        note: told of every event, in one line.
        tick: called about once a second.

    Raises:
        InputError: after `FAILURES` failed trials in a row.
    """
    rungs = store.config.search.rungs
    waiting = list(interrupted(store, note))
    standings = _standings(store)
    failures = 0
    while True:
        while engine.free > 0:
            fresh = not _out_of_time(store, engine, started)
            candidate = next_candidate(store, note) if fresh and is_starting(store) else None
            candidate = candidate or _promoted(store, waiting, standings, note)
            if candidate is None and fresh:
                candidate = next_candidate(store, note)
            if candidate is None:
                break
            known = finished_rung(store, training_of(store, candidate), rungs[candidate.rung])
            if known is None:
                _submit(store, engine, candidate, device)
            else:
                _decide(store, candidate, known, standings, waiting, note)
        if not engine.tickets:
            return
        tick()
        for ticket, result in engine.finished(seconds=1.0):
            assert isinstance(ticket, Candidate)
            if isinstance(result, RungResult) and result.failure is None:
                failures = 0
                rung = record_rung(store, training_of(store, ticket), rungs[ticket.rung], result)
                _decide(store, ticket, rung, standings, waiting, note)
                continue
            failures += 1
            said = result.failure if isinstance(result, RungResult) else f"{type(result).__name__}: {result}"
            reason = first_line(said)
            conclude(store, ticket, "failed", reason)
            note(f"trial {ticket.trial.number} failed: {reason}")
            if failures >= FAILURES:
                raise InputError(f"{failures} trials in a row failed, the last with {reason}: mend it and run again")


def retraining_seconds(store: Store, slots: int) -> float:
    """Estimate of what retraining the present front takes, from the seconds its students took an epoch."""
    settings = store.config.retrain
    points = chosen(trial_records(store), store.config)
    epochs = settings.seeds * settings.recipe.epochs
    return sum(point.seconds / point.epochs * epochs for point in points if point.epochs) / slots


def _submit(store: Store, engine: Engine, candidate: Candidate, device: str) -> None:
    settings = store.config
    stop = settings.search.rungs[candidate.rung]
    start, state = state_before(store, training_of(store, candidate), stop)
    task = RungTask(
        architecture=candidate.architecture,
        recipe=store.recipe(candidate.architecture.digest),
        seed=settings.search.seed,
        start=start,
        stop=stop,
        views=store.views,
        device=device,
    )
    engine.submit(candidate, train_rung, task, state)


def _promoted(store: Store, waiting: list[Candidate], standings: Standings, note: Note) -> Candidate | None:
    """Take the candidate that waits for the lowest rung, the oldest first, and prune those that are weak by now."""
    settings = store.config.search
    while waiting:
        candidate = min(waiting, key=lambda c: (c.rung, c.trial.number))
        waiting.remove(candidate)
        if candidate.rung == 0 or finished_rung(store, training_of(store, candidate), settings.rungs[candidate.rung]):
            return candidate
        epochs, number = settings.rungs[candidate.rung - 1], candidate.trial.number
        others = dict(standings[epochs])
        if not is_weak(others.pop(number), others.values(), settings.peers, settings.slack):
            return candidate
        conclude(store, candidate, "pruned", f"weak at rung {candidate.rung}", epochs)
        note(f"trial {number} {candidate.architecture.family}, {candidate.parameters:,} parameters: pruned")
    return None


def _decide(
    store: Store, candidate: Candidate, rung: Rung, standings: Standings, waiting: list[Candidate], note: Note
) -> None:
    """Complete a candidate that has finished its last rung, or let it wait for the next."""
    settings, trial, last = store.config.search, candidate.trial, rung.curve[-1]
    _enter(standings, trial.number, last, candidate.parameters)
    trial.set_user_attr("validation_accuracy", last.validation_accuracy)
    trial.set_user_attr("validation_loss", last.validation_loss)
    what = f"trial {trial.number} {candidate.architecture.family}, {candidate.parameters:,} parameters: "
    what += f"{100 * last.validation_accuracy:.2f} % after {counted(rung.epochs, 'epoch')}"
    if candidate.rung == len(settings.rungs) - 1:
        if "floor" not in trial.constraints:
            trial.set_constraint("floor", settings.floor - last.validation_accuracy)
        conclude(store, candidate, "complete", "", rung.epochs)
        note(f"{what}, complete")
    else:
        waiting.append(replace(candidate, rung=candidate.rung + 1))
        note(what)


def _standings(store: Store) -> Standings:
    standings: Standings = {}
    for record in trial_records(store):
        for epoch in record.curve:
            if epoch.epoch in store.config.search.rungs:
                _enter(standings, record.number, epoch, record.cost.parameters)
    return standings


def _enter(standings: Standings, number: int, epoch: Epoch, parameters: int) -> None:
    standing = Standing(accuracy=epoch.validation_accuracy, loss=epoch.validation_loss, parameters=parameters)
    standings.setdefault(epoch.epoch, {})[number] = standing


def _out_of_time(store: Store, engine: Engine, started: float) -> bool:
    """Whether the hours, less what retraining will take but at most half of them, are over."""
    hours = store.config.search.hours
    if hours is None:
        return False
    reserved = min(retraining_seconds(store, engine.slots), hours * 1800)
    return time.monotonic() - started + reserved > hours * 3600
