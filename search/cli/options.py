"""Options that commands share: each is written once, and those that belong together reach a command as one noun.

The defaults of data and teachers are written out here, so that `--help` need not import PyTorch; a test compares them.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from space.errors import InputError

if TYPE_CHECKING:
    from kd.data.dataset import DataSource
    from kd.teachers.network import TeacherRecipe
    from search.run import Machine

Name = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.", show_default=False)]
Runs = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder that holds the studies' run directories.")]
Seeds = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Seeds to train each student with; default: the study's.")
]
Board = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Board to fit, see wunderkind boards: its memory sets the budget; space.board."),
]
Device = Annotated[
    str, typer.Option(metavar="DEVICE", help="Where to compute: auto (the GPU if there is one), cpu or cuda.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """Where a study runs, and how its curves are logged."""

    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Local worker processes; default: one per core.")
    ] = None
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address of a running Dask scheduler, whose workers are used instead."),
    ] = None
    resources: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="What each task needs of a --scheduler's worker, like GPU=1. Repeatable."),
    ] = None
    device: Device = "auto"
    log: Annotated[
        Literal["tensorboard", "csv"] | None,
        typer.Option(help="Log learning curves as they are trained, in logs/ of the study's folder."),
    ] = None
    mps: Annotated[
        Literal["on", "off"],
        typer.Option(help="Whether workers on a GPU run under NVIDIA's MPS where it is installed, to share it."),
    ] = "on"

    def machine(self) -> "Machine":
        """What the options say; raises InputError for amounts that are none and for a device that is not there."""
        from kd.device import pick
        from search.run import Machine

        amounts = _amounts(self.resources or [])
        if amounts and self.scheduler is None:
            raise InputError(
                "--resources is what workers of a cluster must offer: give its --scheduler, or leave it out"
            )
        return Machine(
            scheduler=self.scheduler,
            workers=self.workers,
            resources=amounts or None,
            device=pick(self.device),
            log=self.log,
            mps=self.mps == "on",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions:
    """What is changed of a preset."""

    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEACHER",
            help="Who teaches: a shipped teacher's name (mnist, mnist-1, fashion-mnist, fashion-mnist-1, mnist-1d), "
            "a .safetensors or .onnx file, torchvision:NAME or module:callable (repeatable: an ensemble), or logits of "
            "the training split as .npy or .npz; default: the shipped one of the data set.",
        ),
    ] = None
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="File of weights of each --teacher that is code, in the same order."),
    ] = None
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key, see wunderkind config. Repeatable."),
    ] = None

    def settings(self, limits: Mapping[str, float | str | list[str] | None] | None = None) -> list[str]:
        """All of it as `key=value`, together with the `limits` that are not None."""
        given = {**(limits or {}), "teacher.models": self.teacher or None, "teacher.weights": self.weights or None}
        return [
            *(self.changes or ()),
            *(f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOptions:
    """Where the data and the teacher of a study lie now, if it was copied or they were moved."""

    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where the study's data lie now, if not where they lay.")
    ] = None
    teacher: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Where its teacher lies now, if not where it lay. Repeatable: an ensemble."),
    ] = None
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Where the weights of each --teacher that is code lie now."),
    ] = None

    @property
    def settings(self) -> list[str]:
        """All of it as `key=value`."""
        given = {"data.name": self.data, "teacher.models": self.teacher or None, "teacher.weights": self.weights}
        return [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitOptions:
    """How a data set is split, as the keys `data.*` of a study say it."""

    validation: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Training samples held out for validation; default: 5,000, or a fifth of fewer than 25,000; a study's "
            "data.validation.",
        ),
    ] = None
    split_seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Decides what is held out; a study's data.seed.")
    ] = 0
    test: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=1e-9,
            max=1 - 1e-9,
            help="Share held out where there is no test split; a study's data.test.",
        ),
    ] = 0.2
    size: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="H W", min=1, help="Height and width to resize a folder of images to."),
    ] = None
    kind: Annotated[
        Literal["images", "sequences"] | None,
        typer.Option(help="What the arrays of an .npz hold, where it is not seen; a study's data.kind."),
    ] = None
    layout: Annotated[
        Literal["channels_first", "channels_last", "time_first", "features_first"] | None,
        typer.Option(help="Which axes of the arrays come first; a study's data.layout."),
    ] = None
    range: Annotated[
        str | None,
        typer.Option(metavar="LOW..HIGH", help="Values of black and white, like 0..1; a study's data.range."),
    ] = None

    def source(self, name: str) -> "DataSource":
        """The data of this name or path, read and split so."""
        from kd.data.dataset import DataSource

        return DataSource(
            name=os.path.expanduser(name),
            kind=self.kind,
            layout=self.layout,
            range=self.range,
            validation=self.validation,
            seed=self.split_seed,
            test=self.test,
            size=self.size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachOptions:
    """How a teacher is trained."""

    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Passes over the training split.")] = 10
    batch: Annotated[int, typer.Option(metavar="N", min=2, help="Samples per step.")] = 256
    optimizer: Annotated[
        Literal["adamw", "muon"], typer.Option(help="muon, or adamw, which needs a lower learning rate.")
    ] = "muon"
    learning_rate: Annotated[float, typer.Option(metavar="RATE", min=1e-9, help="Peak of the one-cycle schedule.")] = (
        2e-2
    )
    seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=10**9, help="Seed of the first teacher; the others take the next ones."),
    ] = 0

    def recipe(self, data: str) -> "TeacherRecipe":
        """The recipe, with the augmentation that goes with a data set's name."""
        from kd.data.augmentation import default_policy
        from kd.teachers.network import TeacherRecipe

        return TeacherRecipe(
            epochs=self.epochs,
            batch=self.batch,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            augmentation=default_policy(data),
            seed=self.seed,
        )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer, in which every parameter that is one of the nouns above is spread out into its options."""
    parameters = signature(command).parameters.values()
    nouns: dict[str, Any] = {one.name: one.annotation for one in parameters if is_dataclass(one.annotation)}

    @wraps(command)
    def spread(**given: Any) -> None:
        for name, noun in nouns.items():
            given[name] = noun(**{field.name: given.pop(field.name) for field in fields(noun)})
        command(**given)

    options: list[Parameter] = []
    for parameter in parameters:
        inner = signature(nouns[parameter.name]).parameters.values() if parameter.name in nouns else (parameter,)
        options += [option.replace(kind=Parameter.KEYWORD_ONLY) for option in inner]
    spread.__signature__ = Signature(options)  # type: ignore[attr-defined]
    spread.__annotations__ = {option.name: option.annotation for option in options}
    return spread


def _amounts(pairs: list[str]) -> dict[str, float]:
    try:
        amounts = {name: float(amount) for name, amount in (pair.split("=") for pair in pairs)}
        if not all(0 < amount < math.inf for amount in amounts.values()):
            raise ValueError
    except ValueError as error:
        raise InputError(f"--resources {' '.join(pairs)}: write NAME=NUMBER, like GPU=1") from error
    return amounts
