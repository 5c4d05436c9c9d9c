"""Opening a study for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli.options import PlaceOptions
from studies.storage.directory import RunDirectory

if TYPE_CHECKING:
    from studies.configuration.config import Config
    from studies.store import Store


HERE = PlaceOptions()
"""Where they lay."""


@contextmanager
def open_study(name: str, runs: Path, places: PlaceOptions = HERE) -> "Iterator[Store]":
    """A study that is there, open, its data and teacher in `places`; raises InputError when it cannot be opened."""
    directory = RunDirectory(root=runs, name=name)
    directory.require()  # before imports that take seconds
    from studies.store import opened

    quiet_optuna()
    with opened(directory, asked=placed_config(directory, places)) as store:
        yield store


def directory_of(text: str, runs: Path) -> RunDirectory:
    """The study of this folder, else of this name; raises InputError where there is none."""
    path = Path(text)
    if (path / "config.json").is_file():
        path = path.resolve()
        return RunDirectory(root=path.parent, name=path.name)
    directory = RunDirectory(root=runs, name=text)
    directory.require()
    return directory


def placed_config(directory: RunDirectory, places: PlaceOptions) -> "Config | None":
    """A study's configuration with data and teacher where they lie now; None where nothing is said of that."""
    from studies.configuration.file import changed
    from studies.store import stored_config

    return changed(stored_config(directory), places.settings) if places.settings else None


def quiet_optuna() -> None:
    """Keep Optuna from logging every trial: the command line has lines of its own."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
