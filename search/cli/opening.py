"""Opening a study for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from studies.directory import RunDirectory

if TYPE_CHECKING:
    from studies.store import Store


@contextmanager
def open_study(name: str, runs: Path) -> "Iterator[Store]":
    """A study that is there, open; raises InputError when it is not, or cannot be opened."""
    directory = RunDirectory(root=runs, name=name)
    directory.require()  # before imports that take seconds
    from studies.store import opened

    quiet_optuna()
    with opened(directory) as store:
        yield store


def quiet_optuna() -> None:
    """Keep Optuna from logging every trial: the command line has lines of its own."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
