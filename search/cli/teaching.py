"""The command that trains teachers: teach."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import Device, SplitOptions, TeachOptions, with_options


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
        console.print(line, soft_wrap=True, highlight=False)

    teach_members(path, options.recipe(data), members, splits, pick(device), note)
