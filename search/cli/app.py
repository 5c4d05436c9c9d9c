"""The command line."""

import errno
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import optuna
import sqlalchemy
import typer
from rich.console import Console

from kd.data.augmentation import default_policy
from kd.data.dataset import DataSource, load
from kd.device import pick
from kd.files import write_whole
from kd.optim.recipe import Optimizer
from kd.students.verify import verify_student
from kd.teachers.network import TeacherRecipe
from reports.dashboard import publish, serve
from reports.data_set import describe
from reports.figures.student_svg import student_svg
from reports.layers import layer_table, shipped_table
from reports.page import write_report
from reports.summary import status as summary
from search.interrupt import command
from search.jobs.teachers import teach as teach_members
from search.run import Machine, retrain_study, run_study
from search.targets import resolve_student, resolve_target
from space.errors import InputError
from studies import config_file
from studies.directory import ROOT, RunDirectory
from studies.records import student_records
from studies.store import opened, stored_config

app = typer.Typer(
    name="wunderkind",
    help="Finds the smallest student network that still does its teacher's job.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Name = Annotated[str, typer.Argument(help="Name of the study.", show_default=False)]
Root = Annotated[Path, typer.Option("--runs", help="Folder that holds the run directories.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Local worker processes; default: one a core.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler to use instead of local workers.")]
Teacher = Annotated[
    list[str] | None,
    typer.Option(
        help="A shipped teacher's name (mnist, mnist-1, fashion-mnist, fashion-mnist-1), a .safetensors or .onnx file, "
        "torchvision:NAME or module:callable (repeatable: an ensemble), or logits of the training split as .npy or "
        ".npz; default: the shipped one of the data set."
    ),
]
Weights = Annotated[list[str] | None, typer.Option(help="Weights of each --teacher that is code.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="key=value, over the preset. Repeatable.")]
Resources = Annotated[list[str] | None, typer.Option(help="Worker resources a task needs, like GPU=1. Repeatable.")]
Validation = Annotated[int, typer.Option(min=1, help="Samples held out; the study's data.validation.")]
SplitSeed = Annotated[int, typer.Option(min=0, help="Fixes what is held out; the study's data.seed.")]
TestShare = Annotated[
    float, typer.Option(min=1e-9, max=1 - 1e-9, help="Share held out without a test split; the study's data.test.")
]
Size = Annotated[tuple[int, int] | None, typer.Option(min=1, help="Height and width to resize images to.")]
RECIPE, SOURCE = TeacherRecipe(), DataSource()


@app.command(epilog="Example: wunderkind run mnist-quick --name mine --trials 60 --set budget.parameters=5000")
def run(
    preset: Annotated[
        str | None,
        typer.Argument(
            help="A preset's name or the path of a .toml file; default: as the study --name was asked.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study; default: the preset's.")] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Students to train, in total over all runs; rejected and known ones do not count."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(help="Wall-clock limit; search ends early enough to retrain, yet has half of it.")
    ] = None,
    teacher: Teacher = None,
    weights: Weights = None,
    changes: Changes = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    resources: Resources = None,
    device: Device = "auto",
    runs: Root = ROOT,
) -> None:
    """Run a study to its report, or go on with a stopped one."""
    given = _settings(changes, teacher, weights, {"search.trials": trials, "search.hours": hours})
    if preset is None:
        directory = RunDirectory(root=runs, name=_named(name))
        config = config_file.changed(stored_config(directory), given)
    else:
        directory = RunDirectory(root=runs, name=name or Path(preset).stem)
        config = config_file.read(preset, given)
    run_study(directory, config, _machine(scheduler, workers, resources, device), Console())


@app.command(epilog="Example: wunderkind status mine")
def status(name: Name, runs: Root = ROOT) -> None:
    """Show what a study has found so far; may be called while it runs."""
    with opened(_existing(name, runs)) as store:
        Console().print(summary(store))


@app.command(epilog="Example: wunderkind report mine")
def report(name: Name, runs: Root = ROOT) -> None:
    """Write a study's report anew: HTML, Markdown, CSV and JSON."""
    with opened(_existing(name, runs)) as store:
        Console().print(f"report: {write_report(store)}", soft_wrap=True)


@app.command(epilog="Example: wunderkind show mine --trial 17 --svg student.svg")
def show(
    target: Annotated[
        str | None,
        typer.Argument(
            help="A shipped architecture's name, the path of an architecture's .json file, or a study's name with "
            "--trial or --student; default: list the shipped ones.",
            show_default=False,
        ),
    ] = None,
    trial: Annotated[int | None, typer.Option(help="Trial of the study.")] = None,
    student: Annotated[str | None, typer.Option(help="Digest of a retrained student of the study.")] = None,
    svg: Annotated[Path | None, typer.Option(help="File to write a drawing to.")] = None,
    runs: Root = ROOT,
) -> None:
    """Show a student layer by layer: shapes, parameters, MACs, memory."""
    if target is None:
        if trial is not None or student is not None or svg is not None:
            raise InputError("--trial, --student and --svg need a target: name a study or an architecture")
        Console().print(shipped_table())
        return
    architecture = resolve_target(runs, target, trial, student)
    Console().print(layer_table(architecture))
    if svg is not None:
        write_whole(svg, student_svg(architecture, standalone=True))


@app.command(epilog="Example: wunderkind retrain mine --trial 17 --seeds 5")
def retrain(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY_OR_PRESET",
            help="Name of the study; with --student also a preset's name or a .toml file, which a study is made from.",
            show_default=False,
        ),
    ],
    trial: Annotated[
        list[int] | None, typer.Option(help="Trial to retrain; default: the whole front. Repeatable.")
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(help="Another student: a shipped architecture's name, a .json file, a digest. Repeatable."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds; default: the study's.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the study made from a preset; default: the preset's.")
    ] = None,
    teacher: Teacher = None,
    weights: Weights = None,
    changes: Changes = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    resources: Resources = None,
    device: Device = "auto",
    runs: Root = ROOT,
) -> None:
    """Retrain students with the full recipe and read the test split once a seed."""
    machine = _machine(scheduler, workers, resources, device)
    directory = RunDirectory(root=runs, name=name or Path(study).stem)
    others = [resolve_student(directory, text) for text in student or ()]
    given = _settings(changes, teacher, weights)
    asked = bool(name or given)
    preset = others and not trial and (study in config_file.presets() or Path(study).suffix == ".toml")
    if asked and not preset:
        raise InputError(
            "--name, --teacher and --set make a study from a preset: name one, and a --student, but no --trial"
        )
    config = config_file.read(study, given) if asked or (preset and not directory.config.is_file()) else None
    retrain_study(directory, config, trial or (), others, seeds, machine, Console())


@app.command(epilog="Example: wunderkind verify mine")
def verify(name: Name, runs: Root = ROOT) -> None:
    """Check students from their files: parameters three ways, budget, accuracies, ONNX; exit 1 if any fails."""
    directory = _existing(name, runs)
    console = Console()
    failed = checked = 0
    with opened(directory) as store:
        students = student_records(store)
        if not students:
            raise InputError(f"study '{name}' has no retrained student yet: wunderkind retrain {directory.target}")
        for student in students:
            folder = directory.student(student.architecture.digest)
            for check in verify_student(folder, store.data, store.config.budget):
                checked += 1
                failed += not check.ok
                mark = "[green]ok[/]    " if check.ok else "[red]FAILED[/]"
                console.print(f"{mark} {folder.name}  {check.name}: {check.detail}", soft_wrap=True, highlight=False)
    console.print(f"{checked - failed} of {checked} checks passed")
    if failed:
        raise typer.Exit(1)


@app.command(epilog="Example: wunderkind dashboard mine --port 8080")
def dashboard(
    name: Name, port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 8080, runs: Root = ROOT
) -> None:
    """Serve optuna-dashboard for a study on loopback."""
    with opened(_existing(name, runs)) as store:
        publish(store)
        Console().print(f"http://127.0.0.1:{port}  (Ctrl-C stops)")
        serve(store, port)


@app.command(epilog="Example: wunderkind teach mnist --members 3 --epochs 30 --out my-teacher.safetensors")
def teach(
    data: Annotated[str, typer.Argument(help="A data set's name or path; see wunderkind data.", show_default=False)],
    members: Annotated[int, typer.Option(min=1, help="Teachers to train, for an ensemble.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, of several with their seeds; default: teachers/DATA.safetensors."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training split.")] = RECIPE.epochs,
    batch: Annotated[int, typer.Option(min=2, help="Samples a step.")] = RECIPE.batch,
    optimizer: Annotated[Optimizer, typer.Option(help="muon, or adamw, which wants a lower rate.")] = RECIPE.optimizer,
    learning_rate: Annotated[float, typer.Option(min=1e-9, help="Peak of the one-cycle schedule.")] = (
        RECIPE.learning_rate
    ),
    seed: Annotated[int, typer.Option(min=0, max=10**9, help="Seed of the first teacher; the others' follow.")] = 0,
    validation: Validation = SOURCE.validation,
    split_seed: SplitSeed = SOURCE.seed,
    test: TestShare = SOURCE.test,
    size: Size = None,
    device: Device = "auto",
) -> None:
    """Train teachers on the training split alone, or go on with them; logs with test accuracy lie beside as JSON."""
    splits = load(DataSource(name=data, validation=validation, seed=split_seed, test=test, size=size))
    path = out or Path("teachers") / f"{splits.name}.safetensors"
    policy, console = default_policy(data), Console()
    recipe = replace(
        RECIPE,
        epochs=epochs,
        batch=batch,
        optimizer=optimizer,
        learning_rate=learning_rate,
        augmentation=policy,
        seed=seed,
    )
    teach_members(
        path, recipe, members, splits, pick(device), lambda line: console.print(line, soft_wrap=True, highlight=False)
    )


@app.command("data", epilog="Example: wunderkind data fashion-mnist")
def describe_data(
    name: Annotated[str, typer.Argument(metavar="NAME_OR_PATH", help="As data.name.", show_default=False)],
    validation: Validation = SOURCE.validation,
    split_seed: SplitSeed = SOURCE.seed,
    test: TestShare = SOURCE.test,
    size: Size = None,
) -> None:
    """Show what a data set holds: source, shape, splits, statistics, samples a class."""
    source = DataSource(name=name, validation=validation, seed=split_seed, test=test, size=size)
    Console().print(describe(load(source)))


def main() -> None:
    """Run the command line: errors of the user's are one line and exit code 2."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        app(standalone_mode=True)
    except InputError as error:
        _fail(str(error))
    except (OSError, sqlalchemy.exc.OperationalError, optuna.exceptions.StorageInternalError) as error:
        _fail(_storage_fault(error))


def _fail(message: str) -> None:
    line = " ".join(message.split())
    Console(stderr=True).print(f"error: {line}", soft_wrap=True, markup=False, highlight=False)
    sys.exit(2)


def _storage_fault(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            place = f" at {cause.filename}" if cause.filename else ""
            way_out = "free some space" if cause.errno == errno.ENOSPC else "choose another folder with --runs"
            return f"{os.strerror(cause.errno)}{place}: {way_out}, then go on with {command()}"
        if isinstance(cause, sqlalchemy.exc.OperationalError):
            place = f"the database cannot be used ({cause.orig})"
            return f"{place}: free some space or choose another folder with --runs, then go on with {command()}"
        cause = cause.__cause__ or cause.__context__
    return f"{error}: free some space or choose another folder with --runs, then go on with {command()}"


def _named(name: str | None) -> str:
    if name is None:
        raise InputError(f"nothing to run: name a preset ({', '.join(config_file.presets())}) or a study with --name")
    return name


def _settings(
    changes: list[str] | None,
    teacher: list[str] | None,
    weights: list[str] | None,
    limits: Mapping[str, float | None] | None = None,
) -> list[str]:
    """What options change of a preset, as --set would."""
    chosen = {**(limits or {}), "teacher.models": teacher or None, "teacher.weights": weights or None}
    return [*(changes or ()), *(f"{key}={json.dumps(value)}" for key, value in chosen.items() if value is not None)]


def _existing(name: str, runs: Path) -> RunDirectory:
    directory = RunDirectory(root=runs, name=name)
    directory.require()
    return directory


def _machine(scheduler: str | None, workers: int | None, resources: list[str] | None, device: str) -> Machine:
    try:
        amounts = {name: float(amount) for name, amount in (pair.split("=") for pair in resources or [])} or None
        if not all(0 < amount < math.inf for amount in (amounts or {}).values()):
            raise ValueError
    except ValueError as error:
        raise InputError(f"--resources {' '.join(resources or [])}: write NAME=NUMBER, like GPU=1") from error
    if amounts and scheduler is None:
        raise InputError("--resources is what workers of a cluster must offer: give its --scheduler, or leave it away")
    return Machine(scheduler=scheduler, workers=workers, resources=amounts, device=pick(device))
