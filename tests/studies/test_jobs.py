from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kd.data.augmentation import NO_AUGMENTATION
from kd.data.dataset import DataSet
from kd.distil.views import view_source
from kd.teachers.source import TeacherSource
from space.errors import InputError
from studies.configuration.config import Assistants, Config, Retrain
from studies.jobs import TrainingJob, assistant_chain
from studies.storage.directory import RunDirectory


def links(root: Path, data: DataSet, config: Config) -> tuple[tuple[TrainingJob, ...], str]:
    """Assistants and the name of the students' views."""
    jobs, views, _ = assistant_chain(RunDirectory(root=root, name="mine"), config, data)
    return jobs, views.folder.name


def test_without_assistants_students_learn_from_the_teacher(small_data: DataSet, tmp_path: Path) -> None:
    jobs, views = links(tmp_path, small_data, Config())
    assert jobs == ()
    assert views == view_source(tmp_path, small_data, TeacherSource(), Config().recipe.augmentation).folder.name


def test_each_assistant_is_taught_by_the_one_before(small_data: DataSet, tmp_path: Path) -> None:
    config = Config(assistants=Assistants(architectures=("wide-cnn", "tied-cnn")))
    (first, second), views = links(tmp_path, small_data, config)
    assert [job.name for job in (first, second)] == ["assistant wide-cnn", "assistant tied-cnn"]
    assert first.views.folder.name == links(tmp_path, small_data, Config())[1]
    assert second.views.teacher.models == (str(first.weights),)
    assert len({first.views.folder, second.views.folder, first.views.folder.parent / views}) == 3
    assert first.weights.is_relative_to(tmp_path / ".assistants")
    assert not (tmp_path / ".assistants").exists()


def test_retraining_may_augment_otherwise_than_the_search(small_data: DataSet, tmp_path: Path) -> None:
    recipe = replace(Retrain().recipe, augmentation=NO_AUGMENTATION)
    config = Config(retrain=Retrain(recipe=recipe))
    _, views, others = assistant_chain(RunDirectory(root=tmp_path, name="mine"), config, small_data)
    assert views.augmentation == config.recipe.augmentation
    assert others.augmentation == NO_AUGMENTATION
    assert views.folder != others.folder


@pytest.mark.parametrize(
    "change",
    [
        {"architectures": ("tied-cnn",)},
        {"architectures": ("tied-cnn", "wide-cnn")},
        {"seed": 1},
        {"recipe": replace(Assistants().recipe, epochs=3)},
        {"recipe": replace(Assistants().recipe, augmentation=NO_AUGMENTATION)},
    ],
    ids=str,
)
def test_another_assistant_has_another_file_and_other_views(
    small_data: DataSet, tmp_path: Path, change: dict[str, Any]
) -> None:
    settings = Assistants(architectures=("wide-cnn",))
    config = Config(assistants=settings)
    (before,), views = links(tmp_path, small_data, config)
    (*_, after), others = links(tmp_path, small_data, replace(config, assistants=replace(settings, **change)))
    assert before.weights != after.weights
    assert views != others


def test_another_teacher_makes_another_assistant(small_data: DataSet, tmp_path: Path) -> None:
    config = Config(assistants=Assistants(architectures=("wide-cnn",)))
    (before,), views = links(tmp_path, small_data, config)
    (after,), others = links(tmp_path, small_data, replace(config, teacher=TeacherSource(scale="standardised")))
    assert before.weights.parent.parent == after.weights.parent.parent
    assert before.weights != after.weights
    assert views != others


def test_the_students_recipe_changes_no_assistant_but_its_augmentation_their_views(
    small_data: DataSet, tmp_path: Path
) -> None:
    config = Config(assistants=Assistants(architectures=("wide-cnn",)))
    (before,), views = links(tmp_path, small_data, config)
    hotter = replace(config, recipe=replace(config.recipe, temperature=4.0))
    assert links(tmp_path, small_data, hotter) == ((before,), views)
    plain = replace(config, recipe=replace(config.recipe, augmentation=NO_AUGMENTATION))
    (after,), others = links(tmp_path, small_data, plain)
    assert after == before
    assert others != views


def test_an_assistant_answers_for_augmented_samples_where_saved_logits_cannot(
    small_data: DataSet, tmp_path: Path
) -> None:
    path = tmp_path / "logits.npy"
    np.save(path, np.zeros((small_data.given, small_data.classes), np.float32))
    config = Config(teacher=TeacherSource(models=(str(path),)))
    with pytest.raises(InputError, match="has logits of samples as they are"):
        links(tmp_path, small_data, config)
    settings = Assistants(architectures=("wide-cnn",))
    with pytest.raises(InputError, match=r"or assistants\.recipe\.augmentation=none"):
        links(tmp_path, small_data, replace(config, assistants=settings))
    plain = replace(settings, recipe=replace(settings.recipe, augmentation=NO_AUGMENTATION))
    jobs, *_ = assistant_chain(RunDirectory(root=tmp_path, name="mine"), replace(config, assistants=plain), small_data)
    assert jobs[0].views.teacher == config.teacher.resolved()
