"""Candidates: suggested by the study's sampler, checked against the budget, concluded with an outcome."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from optuna.trial import Trial, TrialState

from search.samplers.reproducible import wasted
from space.architecture import Architecture, from_json
from space.sampling.domain import suggest, supported_families
from studies.ledger import Training
from studies.records import Outcome
from studies.store import Store

EXHAUSTED = 500
"""Consecutive useless suggestions after which the search ends."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A student being trained and the rung (index) it is to finish next."""

    trial: Trial
    architecture: Architecture
    parameters: int
    rung: int = 0


def training_of(store: Store, candidate: Candidate) -> Training:
    """Ledger key of a candidate's training."""
    return store.training(candidate.architecture.digest)


def is_starting(store: Store) -> bool:
    """Whether the next suggestion is one of the random ones that a study starts with."""
    return len(store.study.get_trials(deepcopy=False)) < store.config.search.startup


def next_candidate(store: Store, note: Note) -> Candidate | None:
    """Ask until a suggestion is feasible and new; None when the study has its trials or the space is exhausted."""
    study, settings = store.study, store.config.search
    while True:
        trials = study.get_trials(deepcopy=False)
        waiting = any(t.state == TrialState.WAITING for t in trials)
        useless = sum(t.user_attrs.get("outcome") in ("rejected", "duplicate") for t in trials)
        if len(trials) - waiting - useless >= settings.trials:
            return None
        if wasted(study, len(trials)) >= EXHAUSTED:
            note(f"the last {EXHAUSTED} suggestions were all over budget or known: the space is exhausted")
            return None
        if len(trials) < settings.startup and not waiting:
            families = supported_families(store.config.domain, store.data.shape)
            study.enqueue_trial({"family": families[len(trials) % len(families)]})
        candidate = _suggest(store, study.ask(), note)
        if candidate is not None:
            return candidate


def interrupted(store: Store, note: Note) -> Iterator[Candidate]:
    """Trials that a stopped run left RUNNING, at the last rung they finished: its decision may not have been taken."""
    for frozen in store.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = Trial(store.study, frozen._trial_id)
        if "outcome" in frozen.user_attrs:
            _tell_study(store, trial)
        elif "architecture" not in frozen.user_attrs:
            candidate = _suggest(store, trial, note)
            if candidate is not None:
                yield candidate
        else:
            candidate = _candidate(trial, from_json(frozen.user_attrs["architecture"]))
            done = {rung.epochs for rung in store.ledger.rungs(training_of(store, candidate))}
            finished = (i for i, epochs in enumerate(store.config.search.rungs) if epochs in done)
            yield replace(candidate, rung=max(finished, default=0))


def conclude(store: Store, candidate: Candidate, outcome: Outcome, reason: str, epochs: float = 0) -> None:
    """Record how a trial ended, and up to how many epochs of its training count as its own."""
    trial = candidate.trial
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("epochs", epochs)
    trial.set_user_attr("outcome", outcome)
    _tell_study(store, trial)


def _tell_study(store: Store, trial: Trial) -> None:
    match trial.user_attrs["outcome"]:
        case "complete":
            store.study.tell(trial, [trial.user_attrs["score"], trial.user_attrs["parameters"]])
        case "failed":
            store.study.tell(trial, state=TrialState.FAIL)
        case _:
            store.study.tell(trial, state=TrialState.PRUNED)


def _candidate(trial: Trial, architecture: Architecture) -> Candidate:
    return Candidate(trial=trial, architecture=architecture, parameters=architecture.cost().parameters)


def _suggest(store: Store, trial: Trial, note: Note) -> Candidate | None:
    """Complete a trial's suggestion; None when it is over budget or known, and with that concluded."""
    budget = store.config.budget
    architecture = suggest(trial, store.config.domain, store.data.shape, store.data.classes)
    store.config.search.recipe.draw(trial)
    for name, violation in budget.violations(architecture).items():
        if name not in trial.constraints:
            trial.set_constraint(name, violation)
    facts = {"family": architecture.family, "digest": architecture.digest, **asdict(architecture.cost())}
    for name, value in facts.items():
        trial.set_user_attr(name, value)
    trial.set_user_attr("architecture", architecture.to_json())
    candidate = _candidate(trial, architecture)
    if reason := budget.rejection_reason(architecture):
        conclude(store, candidate, "rejected", reason)
        note(f"trial {trial.number} {architecture.family} rejected: {reason}")
        return None
    earlier = store.study.get_trials(deepcopy=False)[: trial.number]
    twin = next((t.number for t in earlier if t.user_attrs.get("digest") == architecture.digest), None)
    if twin is not None:
        conclude(store, candidate, "duplicate", f"same network as trial {twin}")
        note(f"trial {trial.number} {architecture.family}: same network as trial {twin}")
        return None
    return candidate
