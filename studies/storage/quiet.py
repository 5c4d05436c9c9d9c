"""Optuna without what it logs and warns of, for a while."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna


@contextmanager
def without_optuna_logs(ignored: type[Warning]) -> Iterator[None]:
    """Without what Optuna logs of a study that is made or opened, and without warnings of a kind."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ignored)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
