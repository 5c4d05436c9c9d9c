import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from kd.data.dataset import DataSet
from kd.distil.train import RungResult
from kd.optim.recipe import RecipeDomain
from kd.students.curve import Epoch
from kd.teachers.source import TeacherSource
from search.rungs import record_rung
from search.samplers.optuna_samplers import BEST, LATEST, shown
from search.samplers.sampler import WASTE, draw, make_sampler
from space.budget import Budget
from studies.configuration.config import Config, Search
from studies.history import Draw, History
from studies.records import Outcome
from studies.storage.directory import RunDirectory
from studies.store import Store, create, opened

Kind = Literal["predictor", "tpe", "nsga2", "evolution", "random"]
KINDS: tuple[Kind, ...] = ("predictor", "tpe", "nsga2", "evolution", "random")

Open = Callable[..., Store]


@pytest.fixture
def study(small_data: DataSet, teacher_path: Path, tmp_path: Path) -> Iterator[Open]:
    """A function that makes a study and opens it."""
    with ExitStack() as stack:

        def function(name: str, budget: Budget | None = None, **settings: Any) -> Store:
            asked = Search(**{"startup": 6, "rungs": (1,), "floor": 0.0, **settings})
            teacher = TeacherSource(models=(str(teacher_path),))
            directory = RunDirectory(root=tmp_path, name=name)
            create(directory, Config(teacher=teacher, search=asked, budget=budget or Budget()))
            return stack.enter_context(opened(directory, small_data))

        yield function


def train(history: History, number: int, outcome: Outcome = "complete") -> None:
    """Conclude a trial with an accuracy that depends on the network alone."""
    training = history.training(number)
    accuracy = random.Random(training.architecture).uniform(0.1, 0.99)
    epoch = Epoch(epoch=1, train_loss=1.0, validation_accuracy=accuracy, validation_loss=1 - accuracy, seconds=1.0)
    rung = record_rung(history.store, training, 1, RungResult(curve=(epoch,), checkpoint=b"", seconds=1.0), 0.0)
    history.add_rung(number, rung)
    history.conclude(number, outcome, "", 1)


def search(history: History, count: int) -> list[Draw]:
    """Draw and train some students, every fifth of which is pruned."""
    sampler, draws = make_sampler(history.store), []
    for _ in range(count):
        found = draw(sampler, history)
        draws.append(found)
        if history.twin(found.architecture.digest) is not None:
            history.add(found, "duplicate", "known")
        else:
            number = history.add(found).number
            train(history, number, "complete" if number % 5 else "pruned")
    return draws


@pytest.mark.parametrize("kind", KINDS)
def test_a_draw_depends_on_the_seed_and_the_history_alone(study: Open, kind: Kind) -> None:
    recipe = RecipeDomain(loss=("kl", "mse"), temperature=(1.0, 8.0))
    store = study("a", sampler=kind, seed=7, recipe=recipe)
    history, draws = History(store), []
    for _ in range(14):
        anew = draw(make_sampler(store), History(store))
        (found,) = search(history, 1)
        draws.append(found)
        assert (anew.params, anew.architecture) == (found.params, found.architecture)
        assert list(anew.params) == list(found.params)
    whole = search(History(study("b", sampler=kind, seed=7, recipe=recipe)), 14)
    assert [found.params for found in whole] == [found.params for found in draws]
    assert all({"recipe.loss", "recipe.temperature"} <= found.params.keys() for found in draws)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_differ(study: Open, kind: Kind) -> None:
    draws = [draw for seed in (0, 1) for draw in search(History(study(f"s{seed}", sampler=kind, seed=seed)), 8)]
    assert len({found.architecture.digest for found in draws}) >= 14  # what promises most may be the same for both


def test_samplers_differ_after_the_same_start(study: Open) -> None:
    studies = [History(study(kind, sampler=kind, prior=[])) for kind in KINDS]
    draws = [[found.architecture.digest for found in search(history, 12)] for history in studies]
    assert len({tuple(digests[:6]) for digests in draws}) == 1
    assert len({tuple(digests[6:]) for digests in draws}) == len(KINDS)


@pytest.mark.parametrize("kind", ["predictor", "tpe"])
def test_families_take_turns_at_the_start(study: Open, kind: Kind) -> None:
    draws = search(History(study("a", sampler=kind, startup=5)), 5)
    assert len({found.architecture.family for found in draws}) == 5


def test_what_a_prior_chooses_in_the_start_does_not_depend_on_results(study: Open) -> None:
    informed, without = History(study("informed", startup=6)), History(study("without", startup=6, prior=[]))
    draws = [found.architecture.digest for found in search(informed, 6)]
    assert draws != [found.architecture.digest for found in search(without, 6)]
    ahead, sampler = History(study("ahead", startup=6)), make_sampler(informed.store)
    for expected in draws:  # none of these is ever trained
        found = draw(sampler, ahead)
        ahead.add(found)
        assert found.architecture.digest == expected


def test_evolution_draws_children_one_change_from_a_complete_parent(study: Open) -> None:
    history = History(study("a", sampler="evolution", startup=8))
    search(history, 30)
    complete = [trial for trial in history.trials if trial.outcome == "complete"]
    for child in history.trials[8:]:
        assert any(
            # a name that only one of them has was asked because of the change
            sum(child.params[name] != parent.params[name] for name in child.params.keys() & parent.params.keys()) == 1
            for parent in complete
            if parent.number < child.number
        )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_trained_is_a_random_start(study: Open, kind: Kind) -> None:
    history = History(study("a", sampler=kind, startup=0))
    sampler = make_sampler(history.store)
    digests = set()
    for _ in range(3):
        found = draw(sampler, history)
        history.add(found)
        digests.add(found.architecture.digest)
    assert len(digests) == 3


@pytest.mark.parametrize("kind", ["tpe", "evolution"])
def test_after_too_much_waste_draws_are_random(study: Open, kind: Kind) -> None:
    histories = [History(study(name, sampler=name, startup=4)) for name in (kind, "random")]
    known = search(histories[1], 4)
    search(histories[0], 4)
    for wasted in range(WASTE + 1):
        found, random_one = (draw(make_sampler(history.store), history) for history in histories)
        assert (found.params == random_one.params) == (wasted >= WASTE)
        for history in histories:
            history.add(known[0], "duplicate", "known")


def next_params(study: Open, name: str, kind: Kind, outcome: Outcome) -> dict[str, Any]:
    """What is drawn after ten trials and three more with an outcome, whose parameters are always the same."""
    history = History(study(name, sampler=kind, startup=4))
    search(history, 10)
    for number in range(5, 8):
        trial = history.trials[number]
        again = draw(make_sampler(history.store), history)
        trial = replace(trial, params=again.params, architecture=again.architecture)
        history.add(Draw(architecture=again.architecture, params=again.params, distributions=again.distributions))
        if outcome != "unfinished":
            history.conclude(len(history.trials) - 1, outcome, "", 0)
    return dict(draw(make_sampler(history.store), history).params)


def test_tpe_draws_other_students_than_those_in_training(study: Open) -> None:
    assert next_params(study, "a", "tpe", "unfinished") != next_params(study, "b", "tpe", "failed")


def test_tpe_is_shown_the_best_and_the_latest_but_no_duplicates(study: Open) -> None:
    history = History(study("a", sampler="random", startup=0))
    search(history, 3)
    history.add(draw(make_sampler(history.store), history), "duplicate", "known")
    assert [trial.number for trial in shown(history)] == [0, 1, 2]
    search(history, BEST + LATEST + 40)
    found = shown(history)
    assert len(found) == BEST + LATEST
    assert {trial.number for trial in history.front} <= {trial.number for trial in found}
    numbers = [trial.number for trial in found]
    latest = [trial.number for trial in history.trials if trial.outcome != "duplicate"][-LATEST // 2 :]
    assert set(latest) <= set(numbers)
    assert numbers == sorted(numbers)
