"""Terminals of any encoding, none at all, no home, nobody's user, names that look like markup."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from search.output import _plain
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory
from studies.store import create, opened

NAME = "a b?c%20#d[x][/red] :smile: Ärger [bold]"
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
    root = tmp_path_factory.mktemp("runs") / NAME
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
def test_errors_are_told_in_any_encoding(tmp_path: Path, environment: dict[str, str]) -> None:
    result = wunderkind("status", "mine", "--runs", str(tmp_path / NAME), environment=environment)
    assert result.returncode == 2
    (line,) = result.stderr.decode("latin-1").splitlines()
    assert line.startswith("error: no study 'mine' under ")
    assert NAME.partition("Ä")[0] in line
    assert "rger [bold]: start one with wunderkind run" in line


def test_a_report_is_written_where_the_terminal_speaks_ascii_only(study: RunDirectory) -> None:
    result = wunderkind("report", study.name, "--runs", str(study.root), environment=PLAIN_LOCALE)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    said = result.stdout.decode("ascii")
    assert said == f"report: {study.page}\n".replace("Ä", "A")


def test_characters_that_are_missing_are_written_plainly() -> None:
    assert "".join(map(_plain, "é – 3×4 ± σ │─ 日\udcff")) == "e - 3x4 +/- s |- ??"


def _readable_by_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in (folder, *folder.parents))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root may be another user")
@pytest.mark.skipif(not _readable_by_all(Path(sys.prefix)), reason="another user may not read this environment")
def test_neither_home_nor_user_is_needed() -> None:
    prefix = ("env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME")
    nobody = (*prefix, "setpriv", "--reuid", "54321", "--clear-groups")
    result = wunderkind("show", "tied-cnn", prefix=nobody)
    assert result.returncode == 0, result.stderr
    result = wunderkind("data", "usps", prefix=nobody)  # whose files would lie below the home folder
    assert b"Traceback" not in result.stderr, result.stderr
