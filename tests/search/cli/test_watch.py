"""Commands that look at a study again and again, until they are stopped."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kd.data.dataset import DataSource
from kd.teachers.source import TeacherSource
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory
from studies.store import create, opened


@pytest.fixture
def runs(tmp_path: Path, small_source: DataSource, teacher_path: Path) -> Path:
    """Folder with a study, `new`, in which nothing has happened yet."""
    directory = RunDirectory(root=tmp_path / "runs", name="new")
    create(directory, Config(data=small_source, teacher=TeacherSource(models=(str(teacher_path),))))
    with opened(directory):
        pass
    return directory.root


def watched(words: str, *arguments: str) -> tuple[str, int]:
    """What a command prints up to some words, and its exit code once it is then stopped."""
    process = subprocess.Popen(
        [sys.executable, "-m", "search", *arguments, "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    return "".join([*lines, rest]), process.returncode


def test_a_report_is_written_until_it_is_stopped(runs: Path) -> None:
    printed, code = watched("written anew every 60 s", "report", "new", "--runs", str(runs))
    assert "written anew every 60 s, Ctrl-C stops" in printed
    assert code == 130
    page = (runs / "new" / "report" / "index.html").read_text()
    assert re.search(r'<meta http-equiv="refresh" content="60">', page)
