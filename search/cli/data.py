"""The command that describes data: data."""

from typing import Annotated

import typer

from search.cli.options import SplitOptions, with_options


@with_options
def describe_data(
    name: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A data set's name or path, as for data.name.", show_default=False),
    ],
    split: SplitOptions,
) -> None:
    """Show a data set: source, shape, splits, statistics, classes."""
    from kd.data.dataset import load
    from reports.data_set import describe
    from reports.terminal import terminal

    terminal().print(describe(load(split.source(name))))
