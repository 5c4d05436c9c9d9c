"""Terminals of any encoding, none at all, no home, nobody's user, names that look like markup."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search.output import _plain
from studies.config import Config
from studies.directory import RunDirectory
from studies.store import create, opened

PLAIN_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def wunderkind(
    *arguments: str, environment: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "search", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
        env=os.environ | (environment or {}),
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """In a folder whose name is markup, an emoji's code, percent signs and more."""
    root = tmp_path_factory.mktemp("runs") / "a b?c%20#d[x][" / "red] :smile: Ärger [bold]"
    directory = RunDirectory(root=root, name="1234567890")
    create(directory, Config())
    with opened(directory):
        return directory


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        PLAIN_LOCALE,
    ],
    ids=lambda environment: " ".join(environment.values()) or "utf-8",
)
def test_output_of_any_encoding_says_the_same(study: RunDirectory, environment: dict[str, str]) -> None:
    result = wunderkind("report", study.name, "--runs", str(study.root), environment=environment)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    said = result.stdout.decode("latin-1")
    assert said.startswith("report: ")
    assert "a b?c%20#d[x][/red] :smile: " in said
    assert said.endswith("rger [bold]/1234567890/report/index.html\n")
    listed = wunderkind("show", environment=environment)
    assert listed.returncode == 0, listed.stderr


def test_characters_that_are_missing_are_written_plainly() -> None:
    assert "".join(map(_plain, "é – 3×4 ± σ │─ 日\udcff")) == "e - 3x4 +/- s |- ??"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root may be another user")
def test_neither_home_nor_user_is_needed(study: RunDirectory, tmp_path: Path) -> None:
    prefix = ("env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME")
    result = wunderkind("status", study.name, "--runs", str(study.root), prefix=prefix)
    assert result.returncode == 0, result.stderr
    tmp_path.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    nobody = (*prefix, "setpriv", "--reuid", "54321", "--clear-groups")
    result = wunderkind("show", "tied-cnn", prefix=nobody)
    assert result.returncode == 0, result.stderr
    result = wunderkind("data", "usps", prefix=nobody)  # whose files would lie below the home folder
    assert b"Traceback" not in result.stderr, result.stderr
