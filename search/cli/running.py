"""Commands that train students: run, retrain, distil."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Board, ChangeOptions, MachineOptions, PlaceOptions, Runs, Seeds, with_options
from space.errors import InputError
from studies.configuration.written import check_written, presets
from studies.storage.directory import ROOT, RunDirectory, name_of

Preset = Annotated[
    str,
    typer.Argument(
        metavar="PRESET",
        help="A preset's name or the path of a .toml file; see wunderkind config.",
        show_default=False,
    ),
]

Hours = Annotated[
    float | None,
    typer.Option(
        metavar="HOURS", help="Wall-clock limit: the search ends early enough to retrain, but has at least half of it."
    ),
]
WarmStart = Annotated[
    list[str] | None,
    typer.Option(metavar="STUDY", help="Another study under --runs to learn from, or all that there are. Repeatable."),
]


@with_options
def run(
    preset: Annotated[
        str | None,
        typer.Argument(
            metavar="PRESET",
            help="A preset's name or the path of a .toml file; left out: go on with the study --name.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the study; default: the preset's.")] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Students to train in total, over all runs; those over budget or seen before are free.",
        ),
    ] = None,
    hours: Hours = None,
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="The data: data.name, or where a study's data lie now.")
    ] = None,
    warm_start: WarmStart = None,
    board: Board = None,
    *,
    changes: ChangeOptions,
    machine: MachineOptions,
    runs: Runs = ROOT,
) -> None:
    """Run a study to its report, or go on with a stopped one."""
    limits = {"search.trials": trials, "search.hours": hours, "data.name": data, "space.board": board}
    settings = changes.settings({**limits, "search.warm_start": warm_start})
    directory = _directory(preset, name, settings, runs)  # before imports that take seconds
    from reports.terminal import terminal
    from search.cli.opening import quiet_optuna
    from search.run import run_study
    from studies.configuration import file as config_file
    from studies.store import stored_config

    quiet_optuna()
    if preset is not None:
        config = config_file.read(preset, settings)
    else:
        config = config_file.changed(stored_config(directory), settings)
    run_study(directory, config, machine.machine(), terminal())


def _directory(preset: str | None, name: str | None, settings: list[str], runs: Path) -> RunDirectory:
    """Where a study runs, or goes on; raises InputError for what is known to be wrong by what is written alone."""
    if preset is not None:
        check_written(preset, settings)
        return RunDirectory(root=runs, name=name_of(preset) if name is None else name)
    if name is None:
        raise InputError(f"nothing to run: name a preset ({', '.join(presets())}), or a study with --name")
    directory = RunDirectory(root=runs, name=name)
    directory.require()
    return directory


@with_options
def retrain(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.", show_default=False)],
    trial: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Number of a trial to retrain; default: the whole front. Repeatable."),
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDENT",
            help="Another student: the digest of a trial or of one retrained before, a shipped architecture's name or "
            "a .json file. Repeatable.",
        ),
    ] = None,
    seeds: Seeds = None,
    *,
    places: PlaceOptions,
    machine: MachineOptions,
    runs: Runs = ROOT,
) -> None:
    """Retrain students of a study. The recipe is its retrain.recipe; the test split is read once per seed."""
    directory = RunDirectory(root=runs, name=study)
    if study in presets() and not directory.config.is_file():
        raise InputError(
            f"no study '{study}' under {runs}, but a preset: start the study with wunderkind run {study}, or train an "
            f"architecture by it with wunderkind distil {study} STUDENT"
        )
    directory.require()  # before imports that take seconds
    from reports.terminal import terminal
    from search.cli.opening import placed_config, quiet_optuna
    from search.run import retrain_study
    from search.targets import resolve_student

    quiet_optuna()
    asked = placed_config(directory, places)
    others = [resolve_student(directory, text, asked) for text in student or ()]
    retrain_study(directory, asked, trial or (), others, seeds, machine.machine(), terminal())


@with_options
def distil(
    preset: Preset,
    student: Annotated[
        list[str],
        typer.Argument(metavar="STUDENT", help="Shipped architectures' names or .json files.", show_default=False),
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the study; default: the preset's.")] = None,
    seeds: Seeds = None,
    *,
    changes: ChangeOptions,
    machine: MachineOptions,
    runs: Runs = ROOT,
) -> None:
    """Train architectures that no search found.

    They are distilled by the retrain.recipe of a preset, in a study made for them; the test split is read once per
    seed.
    """
    check_written(preset, changes.settings())  # before imports that take seconds
    from reports.terminal import terminal
    from search.cli.opening import quiet_optuna
    from search.run import retrain_study
    from studies.configuration import file as config_file
    from studies.shipped import find

    quiet_optuna()
    directory = RunDirectory(root=runs, name=name_of(preset) if name is None else name)
    config = config_file.read(preset, changes.settings())
    architectures = [find(text) for text in student]
    retrain_study(directory, config, (), architectures, seeds, machine.machine(), terminal())
