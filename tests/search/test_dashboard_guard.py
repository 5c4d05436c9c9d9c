import io
from pathlib import Path

import pytest
from rich.console import Console

from kd.data.dataset import DataSource
from kd.teachers.source import TeacherSource
from search.run import _publish
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory
from studies.store import create, opened


def test_the_report_does_not_wait_for_the_dashboard(
    tmp_path: Path, small_source: DataSource, teacher_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an optuna-dashboard whose private functions take other parameters
    monkeypatch.setattr("optuna_dashboard._note.note_ver_key", lambda: "note")
    directory = RunDirectory(root=tmp_path / "runs", name="tiny")
    create(directory, Config(data=small_source, teacher=TeacherSource(models=(str(teacher_path),))))
    console = Console(file=io.StringIO(), width=80)
    with opened(directory) as store:
        _publish(store, console)
    assert directory.page.is_file()
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert sum("the dashboard lacks notes" in line for line in lines) == 1
    assert lines[-1] == f"report: {directory.page}"
