"""The command that describes data: data."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import SplitOptions, with_options


@with_options
def describe_data(
    name: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A data set's name or path, as for data.name.", show_default=False),
    ],
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw samples of every class, and augmented ones, into this file (.png)."),
    ] = None,
    *,
    split: SplitOptions,
) -> None:
    """Show a data set: source, shape, splits, statistics, classes."""
    from kd.data.dataset import load
    from reports.data_set import describe
    from reports.terminal import terminal

    data = load(split.source(name))
    if picture is not None:
        from reports.contact_sheet import write_contact_sheet

        write_contact_sheet(data, picture)
    terminal().print(describe(data))
