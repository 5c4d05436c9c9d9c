"""What other studies under the same root have trained, kept with a study when it begins."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kd.files import write_whole
from kd.optim.recipe import RecipeDomain
from kd.students.curve import Epoch
from space.architecture import Architecture, from_json
from space.errors import InputError
from studies.configuration.config import Config
from studies.storage.database import readable_database
from studies.storage.directory import RunDirectory, study_names
from studies.store import stored_config

ALL = "all"
"""In place of a study's name: all that there are."""

ARCHITECTURES = (
    "SELECT digest.value_json, architecture.value_json FROM trial_system_attributes AS digest "
    "JOIN trial_system_attributes AS architecture USING (trial_id) "
    "WHERE digest.key = 'digest' AND architecture.key = 'architecture'"
)
RUNGS = (
    "SELECT architecture, recipe, epochs, curve FROM wunderkind_rung AS rung "
    "JOIN wunderkind_training AS training ON rung.training = training.id "
    "WHERE failure IS NULL AND seed = ? ORDER BY rung.id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRung:
    """A student that another study has trained for some epochs, and its merit (share) then."""

    architecture: Architecture
    epochs: float
    merit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedStudy:
    """All that another study has trained in its search, of at most `epochs`."""

    name: str
    epochs: float
    rungs: tuple[TrainedRung, ...]


def keep_warm_start(directory: RunDirectory, config: Config) -> None:
    """Write what the studies of `search.warm_start` have trained into a study's folder, once: they may go on.

    Raises:
        InputError: for a study that is not there, or cannot be read.
    """
    if not config.search.warm_start or directory.warm_start.is_file():
        return
    names = config.search.warm_start
    if ALL in names:
        names = tuple(name for name in study_names(directory.root) if name != directory.name)
    found = [_trained(RunDirectory(root=directory.root, name=name)) for name in names]
    content = [
        {
            "name": study.name,
            "epochs": study.epochs,
            "rungs": [[rung.architecture.to_dict(), rung.epochs, rung.merit] for rung in study.rungs],
        }
        for study in found
    ]
    write_whole(directory.warm_start, json.dumps(content) + "\n")


def warm_start(directory: RunDirectory) -> Sequence[TrainedStudy]:
    """What `keep_warm_start` kept; nothing where a study was not asked for any."""
    if not directory.warm_start.is_file():
        return ()
    try:
        return [_study(content) for content in json.loads(directory.warm_start.read_bytes())]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{directory.warm_start} is damaged: delete it, and the same command makes it again"
        ) from error


def _study(content: dict[str, Any]) -> TrainedStudy:
    rungs = tuple(
        TrainedRung(architecture=from_json(json.dumps(architecture)), epochs=epochs, merit=merit)
        for architecture, epochs, merit in content["rungs"]
    )
    return TrainedStudy(name=content["name"], epochs=content["epochs"], rungs=rungs)


def _trained(directory: RunDirectory) -> TrainedStudy:
    """What the search of a study has trained so far, with the recipe it trains all by."""
    config = stored_config(directory)
    settings, recipe = config.search, config.recipe.digest if config.search.recipe == RecipeDomain() else None
    rungs = []
    if directory.database.is_file():
        with readable_database(directory) as database:
            architectures, rows = _read(directory, str(database), settings.seed)
        for digest, used, epochs, curve in rows:
            if digest in architectures and recipe in (None, used) and epochs in settings.rungs:
                merit = Epoch(**json.loads(curve)[-1]).score(settings.metric)
                rungs.append(TrainedRung(architecture=architectures[digest], epochs=epochs, merit=merit))
    return TrainedStudy(name=directory.name, epochs=settings.epochs, rungs=tuple(rungs))


def _read(directory: RunDirectory, database: str, seed: int) -> tuple[dict[str, Architecture], list[Any]]:
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            found = connection.execute(ARCHITECTURES).fetchall()
            rows = connection.execute(RUNGS, (seed,)).fetchall()
    except sqlite3.Error as error:
        raise InputError(f"study '{directory.name}' cannot be read ({error}): leave it out of --warm-start") from error
    return {json.loads(digest): from_json(json.loads(text)) for digest, text in found}, rows
