"""Commands about teachers: teach, which trains them, and teachers, which measures them."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import ChangeOptions, Device, SplitOptions, TeachOptions, with_options


@with_options
def teach(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A data set's name or path; see wunderkind data.", show_default=False)
    ],
    members: Annotated[int, typer.Option(metavar="N", min=1, help="Teachers to train, for an ensemble.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to write; of several, the seeds are appended to its name; default: teachers/DATA.safetensors.",
        ),
    ] = None,
    *,
    options: TeachOptions,
    split: SplitOptions,
    device: Device = "auto",
) -> None:
    """Train teachers, or go on with them.

    They see the training split alone; a log with validation and test accuracy lies beside each as JSON.
    """
    from kd.data.dataset import load
    from kd.device import pick
    from reports.terminal import terminal
    from search.jobs.teachers import teach as teach_members

    console, splits = terminal(), load(split.source(data))
    path = out or Path("teachers") / f"{splits.name}.safetensors"

    def note(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

    for line in splits.notes:
        note(f"data: {line}")
    teach_members(path, options.recipe(data), members, splits, pick(device), note)


@with_options
def teachers(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A data set's name or path; see wunderkind data.", show_default=False)
    ],
    *,
    changes: ChangeOptions,
    split: SplitOptions,
    device: Device = "auto",
) -> None:
    """Measure teachers as run does before they teach.

    Shown are accuracy, mean confidence and calibration error on labelled training and validation samples; a teacher
    that is no better than chance is refused with the settings that fit it better. Nothing is written.
    """
    from dataclasses import asdict

    from rich.console import Console

    from kd.data.dataset import load
    from kd.device import pick
    from kd.teachers.check import measured_teachers
    from studies.configuration.file import parse_changed

    config = parse_changed({"data": asdict(split.source(data))}, changes.settings())
    measured = measured_teachers(config.teacher, load(config.data), pick(device))
    for line in measured.lines:
        Console().print(line, soft_wrap=True, highlight=False, markup=False)
