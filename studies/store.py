"""Opening a study: run directory, configuration, Optuna storage and ledger together."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from kd.data.dataset import KNOWN, DataSet, DataSource, load
from kd.distil.views import ViewSource
from kd.files import write_whole
from kd.optim.recipe import Recipe, RecipeDomain, drawn
from kd.teachers.fingerprint import fingerprint as fingerprint_of
from space.architecture import Architecture
from space.errors import InputError, first_line
from studies.configuration.config import Config
from studies.configuration.file import differences, parse
from studies.jobs import TrainingJob, assistant_chain
from studies.storage.database import check_database, database_url, is_writable, readable_database
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Ledger, Training, prepare_connections
from studies.storage.quiet import without_optuna_logs
from studies.storage.trial_table import TrialTable

MAXIMIZE, MINIMIZE = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE

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

    def twin_job(self, architecture: Architecture, seed: int) -> TrainingJob:
        """The same with labels alone, which tells what the teacher is worth; the job itself where there is none."""
        job = self.retraining_job(architecture, seed)
        recipe = replace(job.recipe, loss="hard", hard_weight=0.0, feature_loss="none")
        if (job.recipe.loss, job.recipe.feature_loss) == ("hard", "none"):
            return job
        return replace(
            job,
            name=f"student {architecture.digest} on labels alone, seed {seed}",
            recipe=recipe,
            training=replace(job.training, recipe=recipe.digest),
            weights=job.weights.parent / "labels-alone" / job.weights.name,
        )


def create(directory: RunDirectory, config: Config) -> None:
    """Make a study's run directory, or check that the one there was asked the same; raises InputError.

    Where data and teacher of one that is there lie now is kept by `opened`, once it has found that they are the same.
    """
    if directory.config.is_file():
        config = placed_as(config, stored_config(directory, config))
    write_whole(directory.config, config.to_json())


def stored_config(directory: RunDirectory, asked: Config | None = None) -> Config:
    """What a study was asked, from its run directory; raises InputError when it differs from what is `asked` now."""
    directory.require()
    try:
        config = parse(json.loads(directory.config.read_bytes()))
    except (ValueError, AttributeError, TypeError) as error:  # among them InputError: no key of it was typed by anybody
        raise InputError(
            f"{directory.config} is damaged ({first_line(error)}): restore it with wunderkind repair {directory.target}"
        ) from error
    different = differences(config, asked) if asked else []
    if different:
        raise InputError(
            f"study '{directory.name}' has another configuration ({'; '.join(different[:3])}): "
            "give it the same settings, or use another --name"
        )
    return config


@contextmanager
def opened(
    directory: RunDirectory,
    data: DataSet | None = None,
    asked: Config | None = None,
    fingerprint: str | None = None,
    rebuilding: bool = False,
) -> Iterator[Store]:
    """Open a study that `create` made; makes its database at the first call. One that may only be read can be read.

    Args:
        directory: the study's.
        data: its data, if they are loaded.
        asked: its configuration with the present places of data and teacher, which are kept if they are the same;
            None for the places where they lay.
        fingerprint: of its teacher as it is now, without which nothing can be trained; a study can be read without,
            and without its teacher.
        rebuilding: whether students on disk may have no database, which then is made anew.

    Raises:
        InputError: when it cannot be opened, or its data or teacher have changed.
    """
    stored = stored_config(directory, asked)
    config = placed_as(stored, asked) if asked else stored
    data = data or _load(config.data)
    with readable_database(directory) as database:
        if not rebuilding:
            check_database(directory, database)
        if fingerprint is None and config.teacher != stored.teacher:
            fingerprint = fingerprint_of(config.teacher, data)
        with _opened(directory, config, data, database_url(database), fingerprint) as store:
            if config != stored and is_writable(directory):
                write_whole(directory.config, config.to_json())
            yield store


def placed_as(config: Config, other: Config) -> Config:
    """A configuration with its data and teacher where another one has them."""
    teacher = replace(config.teacher, models=other.teacher.models, weights=other.teacher.weights)
    return replace(config, data=replace(config.data, name=other.data.name), teacher=teacher)


def _load(source: DataSource) -> DataSet:
    try:
        return load(source)
    except InputError as error:
        if source.name in KNOWN or Path(source.name).exists():
            raise
        raise InputError(f"the study's data are not at {source.name}: say where they lie with --data PATH") from error


@contextmanager
def _opened(
    directory: RunDirectory, config: Config, data: DataSet, url: str, fingerprint: str | None
) -> Iterator[Store]:
    ledger = Ledger(url)
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
    storage.engine.dispose()  # connections made so far
    prepare_connections(storage.engine)
    try:
        with without_optuna_logs(optuna.exceptions.ExperimentalWarning):
            study = optuna.create_study(
                storage=storage,
                study_name=directory.name,
                directions=[MAXIMIZE, *[MINIMIZE] * len(config.search.objectives)],
                load_if_exists=True,
            )
            names = [f"validation {config.search.metric}", *config.search.objectives]
            study.set_metric_names([name.replace("_", " ") for name in names])
        fingerprint = _unchanged(study, config, data, fingerprint)
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


def _unchanged(study: optuna.Study, config: Config, data: DataSet, fingerprint: str | None) -> str:
    """Fingerprint of the teacher, which, like the data, must be the one of a study's first trials; remembers both.

    A teacher that nobody has looked at now, None, counts as unchanged: a study can be read wherever it is.

    Raises:
        InputError: when data or teacher are others.
    """
    fingerprint = fingerprint or study.user_attrs.get("teacher") or fingerprint_of(config.teacher, data)
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
                f"put the old one back, say where it lies with --{key}, or run under another --name"
            )
    if study.user_attrs.get("config") != config.to_json():
        study.set_user_attr("config", config.to_json())  # so that a damaged file can be restored
    return fingerprint
