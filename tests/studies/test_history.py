"""The history in memory against the database: read anew, it must be the same at any moment."""

import random
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from kd.data.dataset import DataSet
from kd.optim.recipe import RecipeDomain
from kd.students.curve import Epoch
from kd.teachers.source import TeacherSource
from space.sampling.domain import suggest
from space.sampling.random_trial import RandomTrial
from studies.configuration.config import Config, Search
from studies.history import STATES, Draw, History
from studies.records import Outcome, trial_records
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Rung
from studies.storage.trial_table import optuna_distribution
from studies.store import Store, create, opened

RUNGS = (1.0, 3.0, 9.0)


@pytest.fixture
def store(small_data: DataSet, teacher_path: Path, tmp_path: Path) -> Iterator[Store]:
    settings = Search(rungs=RUNGS, floor=0.5, recipe=RecipeDomain(loss=("kl", "mse"), learning_rate=(0.001, 0.1)))
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, Config(teacher=TeacherSource(models=(str(teacher_path),)), search=settings))
    with opened(directory, small_data) as store:
        yield store


def a_draw(store: Store, generator: random.Random) -> Draw:
    trial = RandomTrial(generator)
    architecture = suggest(trial, store.config.domain, store.data.shape, 10)
    store.config.search.recipe.draw(trial)
    return Draw(architecture=architecture, params=trial.params, distributions=trial.distributions)


def rung(generator: random.Random, stop: float) -> Rung:
    start = 0 if stop == 1 else RUNGS[RUNGS.index(stop) - 1]
    failure = "loss is nan" if generator.random() < 0.1 else None
    curve = tuple(
        Epoch(
            epoch=float(epoch),
            train_loss=1.0,
            validation_accuracy=generator.choice([0.3, 0.45, 0.6, generator.random()]),
            validation_loss=generator.random(),
            seconds=1.0,
        )
        for epoch in range(int(start) + 1, int(stop) + 1 - (failure is not None))
    )
    return Rung(epochs=stop, curve=curve, seconds=1.5, failure=failure)


def step(history: History, generator: random.Random) -> None:
    """One of the things that a driver does, at random."""
    running = [trial.number for trial in history.trials if trial.outcome == "unfinished"]
    if not running or generator.random() < 0.3:
        outcomes: tuple[Outcome, ...] = (
            "unfinished",
            "unfinished",
            "unfinished",
            "unfinished",
            "rejected",
            "duplicate",
        )
        outcome = generator.choice(outcomes)
        history.add(a_draw(history.store, generator), outcome, "" if outcome == "unfinished" else "because")
        return
    number = generator.choice(running)
    training = history.training(number)
    known = history.rungs(training)
    if known and known[-1].failure:
        history.conclude(number, "failed", "loss is nan", known[-1].epochs)
    elif len(known) == len(RUNGS):
        history.conclude(number, "complete", "", RUNGS[-1])
    elif known and generator.random() < 0.3:
        history.conclude(number, "pruned", "weak", known[-1].epochs)
    else:
        found = rung(generator, RUNGS[len(known)])
        history.store.ledger.record_rung(training, found)
        history.add_rung(number, found)


def check(history: History) -> None:
    anew, store = History(history.store), history.store
    assert anew.trials == history.trials == trial_records(store)
    assert [list(trial.params.items()) for trial in anew.trials] == [
        list(trial.params.items()) for trial in history.trials
    ]
    assert anew.front == history.front
    assert anew.eligible == history.eligible
    assert (anew.useless, anew.useless_in_a_row) == (history.useless, history.useless_in_a_row)
    for trial in history.trials:
        twin = history.twin(trial.architecture.digest)
        assert twin is not None
        assert anew.twin(trial.architecture.digest) == twin
        assert anew.training(trial.number) == history.training(trial.number)
        assert list(anew.rungs(anew.training(trial.number))) == list(history.rungs(history.training(trial.number)))
        assert store.training(trial.architecture.digest) == history.training(twin)


@pytest.mark.parametrize("seed", range(3))
def test_the_history_in_memory_is_what_is_read_anew(store: Store, seed: int) -> None:
    generator = random.Random(seed)
    history = History(store)
    for _ in range(120):
        step(history, generator)
        if generator.random() < 0.1:
            check(history)
        if generator.random() < 0.1:  # a killed driver goes on
            history = History(store)
    check(history)
    assert {trial.outcome for trial in history.trials} >= {"complete", "pruned", "rejected", "duplicate", "unfinished"}


def test_a_rung_that_is_made_again_stays_as_it_was(store: Store) -> None:
    history, generator = History(store), random.Random(0)
    history.add(a_draw(store, generator))
    for found in (rung(generator, 3.0), rung(generator, 1.0), rung(generator, 3.0)):
        store.ledger.record_rung(history.training(0), found)
        history.add_rung(0, found)
    check(history)
    assert [found.epochs for found in history.rungs(history.training(0))] == [1, 3]


def test_optuna_reads_what_was_written(store: Store) -> None:
    history, generator = History(store), random.Random(1)
    draws = []
    for number in range(8):
        draws.append(a_draw(store, generator))
        history.add(draws[-1], "rejected" if number == 0 else "unfinished", "too large" if number == 0 else "")
    epoch = Epoch(epoch=9.0, train_loss=1.0, validation_accuracy=0.75, validation_loss=0.25, seconds=1.0)
    for number in (1, 2):
        history.store.ledger.record_rung(history.training(number), Rung(epochs=9.0, curve=(epoch,), seconds=1.0))
        history.add_rung(number, Rung(epochs=9.0, curve=(epoch,), seconds=1.0))
    history.conclude(1, "complete", "", 9.0)
    history.conclude(2, "pruned", "weak at rung 3", 9.0)
    history.conclude(3, "failed", "loss is nan", 0.0)
    study = optuna.load_study(study_name="mine", storage=f"sqlite:///{store.directory.database}")
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(8))
    for trial, drawn, record in zip(trials, draws, history.trials, strict=True):
        assert trial.state.name == STATES[record.outcome]
        assert list(trial.params.items()) == list(drawn.params.items())
        assert trial.distributions == {name: optuna_distribution(drawn.distributions[name]) for name in drawn.params}
        assert trial.user_attrs["parameters"] == record.cost.parameters
        assert trial.system_attrs["digest"] == record.architecture.digest
        # what the dashboard has columns of is scalar and short
        assert all(isinstance(value, str | int | float) for value in trial.user_attrs.values())
        assert not {"digest", "architecture"} & set(trial.user_attrs)
        assert trial.user_attrs.get("outcome", "unfinished") == record.outcome
        assert trial.constraints["parameters"] == store.config.budget.violations(record.architecture)["parameters"]
        assert (trial.datetime_complete is None) == (record.outcome == "unfinished")
        assert trial.datetime_start is not None
    assert trials[1].values == [0.75, history.trials[1].cost.parameters]
    assert trials[1].constraints["floor"] == -0.25
    assert (trials[2].values, trials[2].user_attrs["validation_accuracy"]) == (None, 0.75)
    # and Optuna goes on where we stopped
    assert study.ask().number == 8
