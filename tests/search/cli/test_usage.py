"""The command line's manners: versions, help, and misuse in one line."""

from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import wunderkind


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    result = wunderkind("--version", folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"wunderkind {version('wunderkind')}\n", "")


def test_help_is_shown_where_nothing_is_asked(tmp_path: Path) -> None:
    alone, asked = wunderkind(folder=tmp_path), wunderkind("--help", folder=tmp_path)
    assert alone.returncode == asked.returncode == 0
    assert alone.stdout == asked.stdout
    assert "distil" in asked.stdout
    assert "..." not in asked.stdout.partition("Commands:")[2]  # every line is whole


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rn"], "no such command 'rn', did you mean 'run': see"),
        (["--verbose"], "no such option: --verbose"),
        (["run", "mnist", "--trails", "3"], "no such option: --trails"),
        (["run", "mnist", "--trials", "many"], "invalid value for '--trials'"),
        (["run", "mnist", "--workers", "0"], "invalid value for '--workers'"),
        (["run", "mnist", "fashion-mnist"], "unexpected extra argument"),
        (["distil", "mnist"], "missing argument"),
        (["status"], "missing argument"),
        (["teach", "mnist", "--optimizer", "sgd"], "'sgd' is not one of"),
        (["dashboard", "mine", "--port", "70000"], "invalid value for '--port'"),
        (["list"], "no study under runs: start one with wunderkind run"),
        (["run"], "nothing to run: name a preset (fashion-mnist, mnist, mnist-1d, mnist-quick)"),
        (["run", "mnist-quik"], "unknown preset 'mnist-quik': did you mean mnist-quick"),
        (["run", "mnist", "--set", "search.trails=3"], "unknown key search.trails: did you mean search.trials"),
        (["retrain", "mnist"], "no study 'mnist' under runs, but a preset"),
        (["distil", "mnist", "tied-cmn"], "unknown architecture 'tied-cmn': did you mean tied-cnn"),
        (["config", "mnist-quik"], "unknown preset 'mnist-quik': did you mean mnist-quick"),
        (["config", "mnist", "--markdown"], "leave the study or preset and --board out"),
        (["show", "tied-cnn", "--svg", "/dev/null/a.svg"], "--svg /dev/null/a.svg: cannot be written"),
    ],
    ids=" ".join,
)
def test_misuse_is_one_line_and_leaves_nothing(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = wunderkind(*arguments, folder=tmp_path)
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr.replace("Did", "did")
    assert not list(tmp_path.iterdir())


def test_a_value_out_of_its_range_is_told_in_plain_words(tmp_path: Path) -> None:
    result = wunderkind("data", "mnist", "--validation", "0", folder=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "must be at least 1" in line or "range x>=1" in line
    assert "Input should" not in line
