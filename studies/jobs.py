"""Training jobs: assistants and students, from their first weights to the reading of the test split."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kd.data.dataset import DataSet
from kd.distil.views import ViewSource, assistant_views, view_source
from kd.optim.recipe import Recipe
from kd.teachers.fingerprint import fingerprint as fingerprint_of
from space.architecture import Architecture
from studies.configuration.config import Config
from studies.shipped import find
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Training


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """A network to train by a recipe on views; `training` is its ledger key, `weights` the file it is saved to."""

    name: str
    architecture: Architecture
    recipe: Recipe
    views: ViewSource
    training: Training
    weights: Path


def assistant_chain(
    directory: RunDirectory, config: Config, data: DataSet, fingerprint: str | None = None
) -> tuple[tuple[TrainingJob, ...], ViewSource, ViewSource]:
    """The training jobs of a study's assistants, and the views its students then learn from in search and retraining.

    The teacher teaches the first assistant, that one the next, the last the students (Mirzadeh et al. 2020, section 3).
    An assistant's file is named after all that determines it, so nothing has to be trained before all is named. The
    teacher's `fingerprint` is taken unless it is known.

    Raises:
        InputError: for an unknown architecture, and for what `view_source` refuses.
    """
    recipe, seed = config.assistants.recipe, config.assistants.seed
    fingerprint = fingerprint or fingerprint_of(config.teacher, data)
    views_of = partial(view_source, directory.cache.resolve(), data, config.teacher, fingerprint=fingerprint)
    jobs: list[TrainingJob] = []
    for name in config.assistants.architectures:
        architecture, views = find(name), views_of(recipe.augmentation)
        training = Training(architecture=architecture.digest, recipe=recipe.digest, views=views.folder.name, seed=seed)
        job = TrainingJob(
            name=f"assistant {Path(name).stem}",
            architecture=architecture,
            recipe=recipe,
            views=views,
            training=training,
            weights=directory.assistants.resolve() / training.name / "assistant.safetensors",
        )
        jobs.append(job)
        views_of = partial(assistant_views, views, data, job.weights)
    retrain_views = views_of(config.retrain.recipe.augmentation, with_validation=config.retrain.with_validation)
    return tuple(jobs), views_of(config.recipe.augmentation), retrain_views
