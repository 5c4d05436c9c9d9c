"""The driver: asks for candidates, trains them rung by rung, prunes the weak, tells the study.

Only the driver writes to Optuna and the ledger. All its state can be read back from there, so a killed study goes on
where it was: finished rungs are found in the ledger, trials still RUNNING are picked up first.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from optuna.trial import Trial, TrialState

from kd.files import write_whole
from kd.train import RungResult, train_rung
from search.engine import Engine
from search.pruning import Standing, is_weak
from search.sampler import wasted
from space.architecture import Architecture, from_json
from space.domain import suggest
from space.errors import InputError
from studies.ledger import Rung, Training
from studies.records import Outcome, front, spread, trial_records
from studies.store import Store

EXHAUSTED = 500
"""Consecutive useless suggestions after which the search ends."""

FAILURES = 5
"""Consecutive failed trials after which the study stops: the fault is then not the candidates'."""

Shape = tuple[int, int, int]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A student being trained and the rung (index) it is to finish next."""

    trial: Trial
    architecture: Architecture
    parameters: int
    rung: int = 0


def search(
    store: Store, engine: Engine, shape: Shape, classes: int, device: str, note: Note, tick: Callable[[], None]
) -> None:
    """Train candidates until the study has its number of trials or its hours are over.

    Args:
        store: the study; its sampler must be set.
        engine: runs the rungs.
        shape: channels, height, width of an image.
        classes: number of classes.
        device: where students are trained.
        note: told of every event, in one line.
        tick: called about once a second.
    """
    settings = store.config.search
    started = time.monotonic()
    waiting = deque(_unfinished(store, shape, classes, note))
    standings = _standings(store)
    failures = 0
    while True:
        while engine.free > 0:
            candidate = waiting.popleft() if waiting else None
            if candidate is None and not _out_of_time(store, engine, started):
                candidate = _next_candidate(store, shape, classes, note)
            if candidate is None:
                break
            known = finished_rung(store, training_of(store, candidate), settings.rungs[candidate.rung])
            if known is None:
                _submit(store, engine, candidate, device)
            else:
                _decide(store, candidate, known, standings, waiting, note)
        if not engine.tickets:
            return
        tick()
        for candidate, result in engine.finished(seconds=1.0):  # type: ignore[assignment]
            assert candidate is not None
            if isinstance(result, RungResult) and result.failure is None:
                failures = 0
                stop = settings.rungs[candidate.rung]
                rung = record_rung(store, training_of(store, candidate), stop, result)
                _decide(store, candidate, rung, standings, waiting, note)
                continue
            failures += 1
            reason = result.failure if isinstance(result, RungResult) else f"{type(result).__name__}: {result}"
            conclude(store, candidate, "failed", str(reason).splitlines()[0][:200])
            note(f"trial {candidate.trial.number} failed: {reason}")
            if failures >= FAILURES:
                raise InputError(f"{failures} trials in a row failed, the last with {reason}: mend it and run again")


def training_of(store: Store, candidate: Candidate) -> Training:
    """Ledger key of a candidate's training."""
    return store.search_training(candidate.architecture.digest)


def finished_rung(store: Store, training: Training, epochs: float) -> Rung | None:
    """The rung that ended after `epochs`, if the ledger has it, from this study or another."""
    return next((rung for rung in store.ledger.rungs(training) if rung.epochs == epochs), None)


def record_rung(store: Store, training: Training, epochs: float, result: RungResult) -> Rung:
    """Write a finished rung: first its state, then its row in the ledger."""
    path = store.directory.checkpoints / f"{training.name}-{epochs:g}.safetensors"
    write_whole(path, result.checkpoint)
    rung = Rung(epochs=epochs, curve=result.curve, seconds=result.seconds, checkpoint=str(path.resolve()))
    store.ledger.record_rung(training, rung)
    return rung


def last_state(store: Store, training: Training, before: float) -> tuple[float, bytes | None]:
    """Epochs and training state of the longest finished rung shorter than `before` that still has its file."""
    for rung in reversed(store.ledger.rungs(training)):
        path = store.directory.checkpoints / f"{training.name}-{rung.epochs:g}.safetensors"
        if rung.epochs < before and path.is_file():
            return rung.epochs, path.read_bytes()
    return 0, None


def conclude(store: Store, candidate: Candidate, outcome: Outcome, reason: str, epochs: float = 0) -> None:
    """Tell the study how a trial ended."""
    trial = candidate.trial
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("epochs", epochs)
    trial.set_user_attr("outcome", outcome)
    _tell(store, trial)


def _tell(store: Store, trial: Trial) -> None:
    match trial.user_attrs["outcome"]:
        case "complete":
            store.study.tell(trial, [trial.user_attrs["validation_accuracy"], trial.user_attrs["parameters"]])
        case "failed":
            store.study.tell(trial, state=TrialState.FAIL)
        case _:
            store.study.tell(trial, state=TrialState.PRUNED)


def _submit(store: Store, engine: Engine, candidate: Candidate, device: str) -> None:
    settings = store.config
    stop = settings.search.rungs[candidate.rung]
    start, state = last_state(store, training_of(store, candidate), stop)
    engine.submit(
        candidate,
        train_rung,
        candidate.architecture,
        settings.recipe,
        settings.search.seed,
        start,
        stop,
        state,
        store.views,
        device,
    )


def _decide(
    store: Store,
    candidate: Candidate,
    rung: Rung,
    standings: dict[float, dict[int, Standing]],
    waiting: deque[Candidate],
    note: Note,
) -> None:
    """Prune, promote or complete a candidate that has finished a rung."""
    settings, trial, last = store.config.search, candidate.trial, rung.curve[-1]
    standing = Standing(accuracy=last.validation_accuracy, parameters=candidate.parameters)
    others = standings.setdefault(rung.epochs, {})
    others.pop(trial.number, None)
    weak = is_weak(standing, others.values(), settings.peers, settings.slack)
    others[trial.number] = standing
    trial.set_user_attr("validation_accuracy", last.validation_accuracy)
    trial.set_user_attr("validation_loss", last.validation_loss)
    what = f"trial {trial.number} {candidate.architecture.family}, {candidate.parameters:,} parameters: "
    what += f"{100 * last.validation_accuracy:.2f} % after {rung.epochs:g} epochs"
    if candidate.rung == len(settings.rungs) - 1:
        conclude(store, candidate, "complete", "", rung.epochs)
        note(f"{what}, complete")
    elif weak:
        conclude(store, candidate, "pruned", f"weak at rung {candidate.rung + 1}", rung.epochs)
        note(f"{what}, pruned")
    else:
        waiting.append(replace(candidate, rung=candidate.rung + 1))
        note(f"{what}, goes on")


def _next_candidate(store: Store, shape: Shape, classes: int, note: Note) -> Candidate | None:
    """Ask until a suggestion is feasible and new; None when the study has its trials or the space is exhausted."""
    study, settings = store.study, store.config.search
    while True:
        trials = study.get_trials(deepcopy=False)
        begun = [t for t in trials if t.user_attrs.get("outcome") not in ("rejected", "duplicate")]
        if sum(t.state != TrialState.WAITING for t in begun) >= settings.trials:
            return None
        if wasted(study, len(trials)) >= EXHAUSTED:
            note(f"the last {EXHAUSTED} suggestions were all over budget or known: the space is exhausted")
            return None
        if len(trials) < settings.startup and all(t.state != TrialState.WAITING for t in trials):
            families = store.config.space.families
            study.enqueue_trial({"family": families[len(trials) % len(families)]})
        candidate = _suggest(store, study.ask(), shape, classes, note)
        if candidate is not None:
            return candidate


def _suggest(store: Store, trial: Trial, shape: Shape, classes: int, note: Note) -> Candidate | None:
    """Complete a trial's suggestion; None when it is over budget or known, which the study is then told."""
    architecture = suggest(trial, store.config.space, shape, classes)
    cost = architecture.cost()
    for name, violation in store.config.budget.violations(architecture).items():
        if name not in trial.constraints:
            trial.set_constraint(name, violation)
    trial.set_user_attr("family", architecture.family)
    trial.set_user_attr("digest", architecture.digest)
    for name, value in asdict(cost).items():
        trial.set_user_attr(name, value)
    trial.set_user_attr("architecture", architecture.to_json())
    candidate = Candidate(trial=trial, architecture=architecture, parameters=cost.parameters)
    if objection := store.config.budget.objection(architecture):
        conclude(store, candidate, "rejected", objection)
        note(f"trial {trial.number} {architecture.family} rejected: {objection}")
        return None
    twin = next(
        (
            t.number
            for t in store.study.get_trials(deepcopy=False)
            if t.number < trial.number and t.user_attrs.get("digest") == architecture.digest
        ),
        None,
    )
    if twin is not None:
        conclude(store, candidate, "duplicate", f"same network as trial {twin}")
        note(f"trial {trial.number} {architecture.family}: same network as trial {twin}")
        return None
    return candidate


def _unfinished(store: Store, shape: Shape, classes: int, note: Note) -> Iterator[Candidate]:
    """Trials that a stopped run left RUNNING, at the rung they had reached."""
    for frozen in store.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = Trial(store.study, frozen._trial_id)
        if "outcome" in frozen.user_attrs:
            _tell(store, trial)
        elif "architecture" not in frozen.user_attrs:
            candidate = _suggest(store, trial, shape, classes, note)
            if candidate is not None:
                yield candidate
        else:
            yield from _continued(store, trial, from_json(frozen.user_attrs["architecture"]))


def _continued(store: Store, trial: Trial, architecture: Architecture) -> Iterator[Candidate]:
    candidate = Candidate(trial=trial, architecture=architecture, parameters=architecture.cost().parameters)
    done = {rung.epochs for rung in store.ledger.rungs(training_of(store, candidate))}
    # stand at the last finished rung, whose decision may not have been taken
    index = max((i for i, epochs in enumerate(store.config.search.rungs) if epochs in done), default=0)
    yield replace(candidate, rung=index)


def _standings(store: Store) -> dict[float, dict[int, Standing]]:
    """Standings of all trained trials by rung (epochs) and trial number."""
    standings: dict[float, dict[int, Standing]] = {}
    for record in trial_records(store):
        for epoch in record.curve:
            if epoch.epoch in store.config.search.rungs:
                standing = Standing(accuracy=epoch.validation_accuracy, parameters=record.cost.parameters)
                standings.setdefault(epoch.epoch, {})[record.number] = standing
    return standings


def _out_of_time(store: Store, engine: Engine, started: float) -> bool:
    """Whether the hours, less what retraining will take, are over."""
    hours = store.config.search.hours
    return hours is not None and time.monotonic() - started + retraining_seconds(store, engine.slots) > hours * 3600


def retraining_seconds(store: Store, slots: int) -> float:
    """Estimate of what retraining the present front takes, from the seconds its students took an epoch."""
    settings = store.config.retrain
    points = spread(front(trial_records(store)), settings.points)
    epochs = settings.seeds * settings.recipe.epochs
    return sum(point.seconds / point.epochs * epochs for point in points if point.epochs) / slots
