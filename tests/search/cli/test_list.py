import json
from dataclasses import asdict
from pathlib import Path

import optuna
from command_line import wunderkind

from space.architecture import Architecture
from space.blocks.mlp import Dense
from studies.configuration.config import Config
from studies.storage.database import database_url
from studies.storage.directory import RunDirectory
from studies.store import create

STUDENT = Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=(Dense(width=5),))


def test_studies_are_listed_one_a_line_broken_ones_with_the_reason(tmp_path: Path) -> None:
    for name in ("begun", "distilled", "new"):
        create(RunDirectory(root=tmp_path, name=name), Config())
    storage = optuna.storages.RDBStorage(database_url(RunDirectory(root=tmp_path, name="begun").database))
    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    trial = study.ask()
    for key, value in (("digest", STUDENT.digest), ("architecture", STUDENT.to_json()), ("outcome", "complete")):
        trial.set_user_attr(key, value)
    study.tell(trial, [0.95, STUDENT.cost().parameters])
    storage.engine.dispose()
    folder = RunDirectory(root=tmp_path, name="distilled").student(STUDENT.digest)
    folder.mkdir(parents=True)
    seeds = [{"seed": 0, "validation": 0.97, "test": 0.9634}]
    results = {"digest": STUDENT.digest, "cost": asdict(STUDENT.cost()), "seeds": seeds}
    (folder / "results.json").write_text(json.dumps(results))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    result = wunderkind("list", "--runs", str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    heading, begun, distilled, new, broken, beside = result.stdout.splitlines()
    assert heading.split() == ["study", "state", "trials", "front", "best", "student", "last", "change", "report"]
    assert beside == "side by side: wunderkind compare begun distilled"
    assert begun.split()[:7] == ["begun", "stopped", "1", "of", "40", "1", "–"]
    assert distilled.split()[:6] == ["distilled", "distilled", "0", "of", "40", "0"]
    assert f"{STUDENT.cost().parameters:,} at 96.34 %" in distilled
    assert new.split()[:2] == ["new", "new"]
    assert broken == "broken cannot be read: its files are damaged or of another version ('search')"


def test_a_folder_without_studies_says_how_to_start_one(tmp_path: Path) -> None:
    result = wunderkind("list", "--runs", str(tmp_path / "none"))
    assert result.returncode == 2
    assert result.stderr == (
        f"error: no study under {tmp_path}/none: start one with wunderkind run, or name another folder with --runs\n"
    )
