import random
import warnings

import optuna
import pytest
from optuna.trial import TrialState

from search.sampler import WASTE, ReproducibleSampler, wasted
from space.domain import Domain, suggest

optuna.logging.set_verbosity(optuna.logging.WARNING)


def study_with(sampler: ReproducibleSampler, storage: str) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(
            storage=storage,
            study_name="s",
            directions=["maximize", "minimize"],
            sampler=sampler,
            load_if_exists=True,
        )


def draw(study: optuna.Study, count: int) -> list[str]:
    """Ask, suggest and tell a score that depends on the digest alone."""
    digests = []
    for _ in range(count):
        trial = study.ask()
        architecture = suggest(trial, Domain(), (1, 28, 28), 10)
        cost = architecture.cost()
        trial.set_constraint("parameters", cost.parameters / 10_000 - 1)
        score = random.Random(architecture.digest).random()
        study.tell(trial, [score, cost.parameters])
        digests.append(architecture.digest)
    return digests


def test_a_resumed_study_draws_what_an_undisturbed_one_draws(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("studies")
    whole = draw(study_with(ReproducibleSampler(7, 6), f"sqlite:///{folder}/a.db"), 16)
    first = draw(study_with(ReproducibleSampler(7, 6), f"sqlite:///{folder}/b.db"), 9)
    study = study_with(ReproducibleSampler(7, 6), f"sqlite:///{folder}/b.db")
    # a driver killed in the middle of a suggestion leaves a RUNNING trial with some of its parameters
    suspended = study.ask()
    family = suspended.suggest_categorical("family", Domain().families)
    again = optuna.trial.Trial(study, suspended._trial_id)
    architecture = suggest(again, Domain(), (1, 28, 28), 10)
    assert architecture.family == family
    assert [*first, architecture.digest] == whole[:10]


def test_seeds_differ() -> None:
    a, b = (draw(study_with(ReproducibleSampler(seed, 4), "sqlite://"), 4) for seed in (0, 1))
    assert a != b


def test_waste_is_counted_back_from_a_trial() -> None:
    study = study_with(ReproducibleSampler(0, 0), "sqlite://")
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
    assert WASTE > 2
