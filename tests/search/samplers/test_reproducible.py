import random
import warnings
from typing import Literal

import optuna
import pytest
from optuna.trial import TrialState

from search.samplers.reproducible import ReproducibleSampler, wasted
from space.architecture import FAMILIES
from space.sampling.domain import Domain, suggest
from studies.configuration.config import Search

optuna.logging.set_verbosity(optuna.logging.WARNING)


Kind = Literal["tpe", "evolution", "random"]
KINDS: tuple[Kind, ...] = ("tpe", "evolution", "random")
SHAPE = (1, 28, 28)


def study_with(chosen: ReproducibleSampler, storage: str) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(
            storage=storage,
            study_name="s",
            directions=["maximize", "minimize"],
            sampler=chosen,
            load_if_exists=True,
        )


def sampler(kind: Kind, seed: int, startup: int) -> ReproducibleSampler:
    return ReproducibleSampler(Search(sampler=kind, seed=seed, startup=startup), Domain(), SHAPE, 10)


def draw(study: optuna.Study, count: int) -> list[str]:
    """Ask, suggest and tell a score that depends on the digest alone."""
    digests = []
    for _ in range(count):
        trial = study.ask()
        architecture = suggest(trial, Domain(), SHAPE, 10)
        cost = architecture.cost()
        trial.set_constraint("parameters", cost.parameters / 10_000 - 1)
        score = random.Random(architecture.digest).random()
        study.tell(trial, [score, cost.parameters])
        digests.append(architecture.digest)
    return digests


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_study_draws_what_an_undisturbed_one_draws(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind
) -> None:
    folder = tmp_path_factory.mktemp("studies")
    whole = draw(study_with(sampler(kind, 7, 6), f"sqlite:///{folder}/a.db"), 16)
    first = draw(study_with(sampler(kind, 7, 6), f"sqlite:///{folder}/b.db"), 9)
    study = study_with(sampler(kind, 7, 6), f"sqlite:///{folder}/b.db")
    # a driver killed in the middle of a suggestion leaves a RUNNING trial with some of its parameters
    suspended = study.ask()
    family = suspended.suggest_categorical("family", Domain().families)
    study = study_with(sampler(kind, 7, 6), f"sqlite:///{folder}/b.db")
    again = optuna.trial.Trial(study, suspended._trial_id)
    architecture = suggest(again, Domain(), SHAPE, 10)
    assert architecture.family == family
    assert [*first, architecture.digest] == whole[:10]


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_differ(kind: Kind) -> None:
    a, b = (draw(study_with(sampler(kind, seed, 4), "sqlite://"), 8) for seed in (0, 1))
    assert len({*a, *b}) == 16


def test_samplers_differ_after_the_same_start() -> None:
    draws = [draw(study_with(sampler(kind, 0, 6), "sqlite://"), 12) for kind in KINDS]
    assert len({tuple(digests[:6]) for digests in draws}) == 1
    assert len({tuple(digests[6:]) for digests in draws}) == 3


def test_evolution_draws_children_one_change_from_a_feasible_parent() -> None:
    study = study_with(sampler("evolution", 3, 10), "sqlite://")
    digests = draw(study, 40)
    trials = study.get_trials()
    for child in trials[10:]:
        parents = [t for t in trials[: child.number] if t.constraints["parameters"] <= 0]
        assert any(
            # a name that only one of them has was asked because of the change
            sum(child.params[name] != t.params[name] for name in child.params.keys() & t.params.keys()) == 1
            and digests[t.number] != digests[child.number]
            for t in parents
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_suggestion_may_be_fixed_in_part(kind: Kind) -> None:
    study = study_with(sampler(kind, 0, 4), "sqlite://")
    draw(study, 6)
    for family in FAMILIES:
        study.enqueue_trial({"family": family})
        assert suggest(study.ask(), Domain(), SHAPE, 10).family == family


def test_evolution_starts_at_random_when_nothing_was_trained() -> None:
    study = study_with(sampler("evolution", 0, 0), "sqlite://")
    assert len(set(draw(study, 3))) == 3


def next_draw(kind: Kind, state: TrialState, outcome: str) -> str:
    """What is drawn after ten trials and three more in some state, whose parameters are always the same."""
    study = study_with(sampler(kind, 0, 4), "sqlite://")
    draw(study, 10)
    known = study.get_trials()[5:8]
    for other in known:
        attributes = {"outcome": outcome} if outcome else {}
        study.add_trial(
            optuna.trial.create_trial(
                state=state, params=other.params, distributions=other.distributions, user_attrs=attributes
            )
        )
    return suggest(study.ask(), Domain(), SHAPE, 10).digest


def test_tpe_draws_other_students_than_those_in_training() -> None:
    assert next_draw("tpe", TrialState.RUNNING, "") != next_draw("tpe", TrialState.FAIL, "failed")


def test_a_draw_does_not_depend_on_duplicates() -> None:
    for kind in KINDS:
        assert next_draw(kind, TrialState.PRUNED, "duplicate") == next_draw(kind, TrialState.FAIL, "failed")
    assert next_draw("tpe", TrialState.PRUNED, "pruned") != next_draw("tpe", TrialState.FAIL, "failed")


def test_waste_is_counted_back_from_a_trial() -> None:
    study = study_with(sampler("tpe", 0, 0), "sqlite://")
    for outcome in ("complete", "rejected", "duplicate"):
        trial = study.ask()
        trial.set_user_attr("outcome", outcome)
        if outcome == "complete":
            study.tell(trial, [0.5, 1])
        else:
            study.tell(trial, state=TrialState.PRUNED)
    assert wasted(study, 3) == 2
    assert wasted(study, 2) == 1
    assert wasted(study, 1) == 0
