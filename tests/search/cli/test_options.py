from inspect import signature
from typing import get_args

import pytest

from kd.data.dataset import DataSource
from kd.optim.recipe import Optimizer
from kd.teachers.network import TeacherRecipe
from search.cli.options import ChangeOptions, MachineOptions, SplitOptions, TeachOptions, with_options
from search.run import Machine
from space.errors import InputError


def test_the_defaults_of_data_and_teachers_are_those_of_the_library() -> None:
    assert SplitOptions().source("mnist") == DataSource(name="mnist")
    assert TeachOptions().recipe("mnist") == TeacherRecipe()
    optimizer = signature(TeachOptions).parameters["optimizer"].annotation
    assert set(get_args(get_args(optimizer)[0])) == set(get_args(Optimizer))


def test_options_reach_what_they_name() -> None:
    source = SplitOptions(validation=7, split_seed=3, test=0.5, size=(8, 9), kind="images").source("mine.npz")
    assert source == DataSource(name="mine.npz", validation=7, seed=3, test=0.5, size=(8, 9), kind="images")
    recipe = TeachOptions(epochs=2, batch=32, optimizer="adamw", learning_rate=1e-3, seed=5).recipe("fashion-mnist")
    assert (recipe.epochs, recipe.batch, recipe.optimizer, recipe.learning_rate, recipe.seed) == (
        2,
        32,
        "adamw",
        1e-3,
        5,
    )
    assert recipe.augmentation.flip == 0.5
    machine = MachineOptions(
        workers=3, scheduler="tcp://there:1", resources=["GPU=1", "MEM=2.5"], device="cpu"
    ).machine()
    assert machine == Machine(scheduler="tcp://there:1", workers=3, resources={"GPU": 1.0, "MEM": 2.5}, device="cpu")
    assert MachineOptions(device="cpu").machine() == Machine()


def test_changes_are_settings() -> None:
    assert ChangeOptions().settings({"search.hours": None}) == []
    changes = ChangeOptions(teacher=["a.onnx", "b.onnx"], weights=[""], changes=["data.seed=3"])
    assert changes.settings({"search.trials": 5, "search.hours": None}) == [
        "data.seed=3",
        "search.trials=5",
        'teacher.models=["a.onnx", "b.onnx"]',
        'teacher.weights=[""]',
    ]


@pytest.mark.parametrize("pair", ["GPU", "GPU=", "GPU=one", "GPU=0", "GPU=-1", "GPU=nan", "GPU=inf", "GPU=1=2"])
def test_amounts_that_are_none_are_refused(pair: str) -> None:
    with pytest.raises(InputError, match=f"--resources {pair}: write NAME=NUMBER"):
        MachineOptions(scheduler="tcp://there:1", resources=[pair], device="cpu").machine()


def test_a_noun_is_spread_into_its_options_and_put_together_again() -> None:
    seen = []

    @with_options
    def command(name: str, *, split: SplitOptions, last: int = 3) -> None:
        """Do it."""
        seen.append((name, split, last))

    assert list(signature(command).parameters) == [
        "name",
        *("validation", "split_seed", "test", "size", "kind", "layout", "range"),
        "last",
    ]
    assert (command.__name__, command.__doc__) == ("command", "Do it.")
    command(name="a", validation=1, split_seed=2, test=0.3, size=None, kind=None, layout=None, range=None, last=4)
    assert seen == [("a", SplitOptions(validation=1, split_seed=2, test=0.3), 4)]
