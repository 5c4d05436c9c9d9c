"""Opening a study: run directory, configuration, Optuna storage and ledger together."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import optuna

from kd.data.dataset import DataSet, load
from kd.distil.views import ViewSource
from kd.files import write_whole
from kd.optim.recipe import Recipe, RecipeDomain, drawn
from space.architecture import Architecture
from space.errors import InputError
from studies.config import Config
from studies.config_file import differences, parse
from studies.directory import RunDirectory
from studies.jobs import TrainingJob, assistant_chain
from studies.ledger import Ledger, Training, prepare_connections
from studies.trial_table import TrialTable

METRICS = ("validation accuracy", "parameters")

Params = Mapping[str, Any]
"""Values of a draw by parameter name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An open study: its configuration, where it lies, what happened.

    `views`, and `retrain_views` for retraining, are those of its students: with the logits of the last of its
    `assistants`, without any of its teacher.
    """

    config: Config
    directory: RunDirectory
    study: optuna.Study
    ledger: Ledger
    data: DataSet
    assistants: tuple[TrainingJob, ...]
    views: ViewSource
    retrain_views: ViewSource

    @property
    def trials(self) -> TrialTable:
        """The study's trials, as they are in the database."""
        return TrialTable(engine=self.ledger.engine, study=self.study._study_id)

    def training(self, architecture: str, seed: int | None = None, params: Params | None = None) -> Training:
        """Ledger key of an architecture (digest): of its retraining with `seed`, without one of its search."""
        recipe, views = self.recipe(architecture, retraining=seed is not None, params=params), self.retrain_views
        if seed is None:
            views, seed = self.views, self.config.search.seed
        return Training(architecture=architecture, recipe=recipe.digest, views=views.folder.name, seed=seed)

    def recipe(self, architecture: str, retraining: bool = False, params: Params | None = None) -> Recipe:
        """Recipe of an architecture (digest), with what was drawn for its first trial.

        The `params` of that trial are looked up unless they are given.
        """
        recipe = self.config.retrain.recipe if retraining else self.config.recipe
        if self.config.search.recipe == RecipeDomain():
            return recipe
        return replace(recipe, **drawn(self.trials.first_params(architecture) if params is None else params))

    def retraining_job(self, architecture: Architecture, seed: int) -> TrainingJob:
        """Retraining of a student with `seed`."""
        return TrainingJob(
            name=f"student {architecture.digest} seed {seed}",
            architecture=architecture,
            recipe=self.recipe(architecture.digest, retraining=True),
            views=self.retrain_views,
            training=self.training(architecture.digest, seed),
            weights=self.directory.student(architecture.digest) / f"seed-{seed}.safetensors",
        )


def database_url(directory: RunDirectory) -> str:
    """URL of a study's SQLite database."""
    return f"sqlite:///{directory.database.resolve()}"


def create(directory: RunDirectory, config: Config) -> None:
    """Make a study's run directory, or check that the one there was asked the same; raises InputError."""
    if directory.config.is_file():
        stored_config(directory, config)
    write_whole(directory.config, config.to_json())


def stored_config(directory: RunDirectory, asked: Config | None = None) -> Config:
    """What a study was asked, from its run directory; raises InputError when it differs from what is `asked` now."""
    directory.require()
    try:
        config = parse(json.loads(directory.config.read_text()))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{directory.config} is damaged ({error}): run the study again under another --name"
        ) from error
    different = differences(config, asked) if asked else []
    if different:
        raise InputError(
            f"study '{directory.name}' has another configuration ({'; '.join(different[:3])}): "
            "give it the same settings, or use another --name"
        )
    return config


@contextmanager
def opened(directory: RunDirectory, data: DataSet | None = None) -> Iterator[Store]:
    """Open a study that `create` made, with its `data` if they are loaded; makes its database at the first call.

    Raises:
        InputError: when it cannot be opened, or its data or teacher have changed.
    """
    config = stored_config(directory)
    data = data or load(config.data)
    url = database_url(directory)
    ledger = Ledger(url)
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
    storage.engine.dispose()  # connections made so far
    prepare_connections(storage.engine)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                storage=storage,
                study_name=directory.name,
                directions=["maximize", "minimize"],
                load_if_exists=True,
            )
            study.set_metric_names(list(METRICS))
        fingerprint = _unchanged(study, config, data)
        assistants, views, retrain_views = assistant_chain(directory, config, data, fingerprint)
        yield Store(
            config=config,
            directory=directory,
            study=study,
            ledger=ledger,
            data=data,
            assistants=assistants,
            views=views,
            retrain_views=retrain_views,
        )
    finally:
        storage.engine.dispose()
        ledger.close()


def _unchanged(study: optuna.Study, config: Config, data: DataSet) -> str:
    """Fingerprint of the teacher, which, like the data, must be the one of a study's first trials; remembers both.

    A teacher that is gone counts as unchanged: a finished study can be read wherever it is.

    Raises:
        InputError: when data or teacher are others.
    """
    try:
        fingerprint = config.teacher.fingerprint()
    except InputError:
        fingerprint = study.user_attrs.get("teacher", "")
        if not fingerprint:
            raise
    origins = {
        "data": (config.data.name, data.digest),
        "teacher": (", ".join(config.teacher.models), fingerprint),
    }
    for key, (name, digest) in origins.items():
        stored = study.user_attrs.get(key)
        if stored is None:
            study.set_user_attr(key, digest)
        elif stored != digest:
            raise InputError(
                f"{key} {name} has changed since study '{study.study_name}' began ({stored[:12]}, now {digest[:12]}): "
                "put the old one back, or run under another --name"
            )
    return fingerprint
