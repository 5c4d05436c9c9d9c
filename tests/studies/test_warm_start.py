import json
from pathlib import Path

import pytest

from kd.data.dataset import DataSet
from kd.distil.train import RungResult
from kd.students.curve import Epoch
from kd.teachers.source import TeacherSource
from search.rungs import record_rung
from search.samplers.sampler import draw, make_sampler
from space.errors import InputError
from studies.configuration.config import Config, Search
from studies.history import History
from studies.storage.directory import RunDirectory
from studies.store import create, opened
from studies.warm_start import keep_warm_start, warm_start


def config(teacher: Path, **settings: object) -> Config:
    asked = {"rungs": (1, 2), "startup": 2, "prior": (), **settings}
    return Config(teacher=TeacherSource(models=(str(teacher),)), search=Search(**asked))  # type: ignore[arg-type]


def trained(directory: RunDirectory, asked: Config, data: DataSet, count: int) -> list[float]:
    """A study with so many trained students; what they reached."""
    create(directory, asked)
    with opened(directory, data) as store:
        history, sampler, merits = History(store), make_sampler(store), []
        for number in range(count):
            history.add(draw(sampler, history))
            training = history.training(number)
            for epochs in (1, 2):
                merit = 0.5 + 0.01 * number + 0.1 * epochs
                epoch = Epoch(
                    epoch=epochs, train_loss=1, validation_accuracy=merit, validation_loss=1 - merit, seconds=1
                )
                result = RungResult(curve=(epoch,), checkpoint=b"", seconds=1)
                history.add_rung(number, record_rung(store, training, epochs, result, 0.0))
                merits.append(merit)
            history.conclude(number, "complete", "", 2)
        return merits


def test_what_other_studies_trained_is_kept_once_and_changes_what_is_drawn(
    small_data: DataSet, teacher_path: Path, tmp_path: Path
) -> None:
    other = RunDirectory(root=tmp_path, name="other")
    merits = trained(other, config(teacher_path), small_data, 6)
    drawn = {}
    for name, asked in (("cold", ()), ("warm", ("other",)), ("all", ("all",))):
        directory = RunDirectory(root=tmp_path, name=name)
        study = config(teacher_path, warm_start=asked, startup=0)
        create(directory, study)
        keep_warm_start(directory, study)
        with opened(directory, small_data) as store:
            drawn[name] = [draw(make_sampler(store), History(store)).architecture.digest for _ in range(1)]
            assert drawn[name] == [draw(make_sampler(store), History(store)).architecture.digest]
    (known,) = warm_start(RunDirectory(root=tmp_path, name="warm"))
    assert (known.name, known.epochs) == ("other", 2)
    assert [rung.merit for rung in known.rungs] == merits
    assert [study.name for study in warm_start(RunDirectory(root=tmp_path, name="all"))] == ["cold", "other", "warm"]
    assert drawn["warm"] != drawn["cold"]

    before = RunDirectory(root=tmp_path, name="warm").warm_start.read_bytes()
    (tmp_path / "other" / "study.db").unlink()
    keep_warm_start(RunDirectory(root=tmp_path, name="warm"), config(teacher_path, warm_start=("other",)))
    assert RunDirectory(root=tmp_path, name="warm").warm_start.read_bytes() == before


def test_studies_that_cannot_be_learnt_from_are_named(small_data: DataSet, teacher_path: Path, tmp_path: Path) -> None:
    directory = RunDirectory(root=tmp_path, name="mine")
    with pytest.raises(InputError, match=r"no study 'others' under .*: start one with wunderkind run"):
        keep_warm_start(directory, config(teacher_path, warm_start=("others",)))
    assert not directory.path.exists()
    trained(RunDirectory(root=tmp_path, name="other"), config(teacher_path), small_data, 1)
    (tmp_path / "other" / "study.db").write_bytes(b"no database" * 1_000)
    with pytest.raises(InputError, match=r"study 'other' cannot be read \(.*\): leave it out of --warm-start"):
        keep_warm_start(directory, config(teacher_path, warm_start=("other",)))
    create(directory, config(teacher_path))
    directory.warm_start.write_text(json.dumps([{"name": "other"}]))
    with pytest.raises(InputError, match=r"warm-start\.json is damaged: delete it"):
        warm_start(directory)
