"""What a command may not wait for."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
sys.argv[0] = "wunderkind"
try:
    from search.__main__ import main
    main()
finally:
    print("imported", *sorted({name.partition(".")[0] for name in sys.modules}))
"""
SLOW = {
    "torch",
    "torchvision",
    "optuna",
    "sqlalchemy",
    "pandas",
    "numpy",
    "pydantic",
    "distributed",
    "plotly",
    "asyncio",
}
COMMANDS = [
    "run",
    "status",
    "list",
    "report",
    "compare",
    "show",
    "retrain",
    "distil",
    "export",
    "predict",
    "boards",
    "measure",
    "verify",
    "repair",
    "dashboard",
    "teach",
    "teachers",
    "data",
    "config",
]


def imported(*arguments: str, code: int = 0) -> set[str]:
    """Top-level packages that a command has imported when it ends."""
    result = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == code, result.stderr
    return set(result.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), (), *((name, "--help") for name in COMMANDS)], ids=str
)
def test_help_and_version_wait_for_no_library(arguments: tuple[str, ...]) -> None:
    packages = imported(*arguments)
    assert "typer" in packages
    assert packages.isdisjoint(SLOW | {"rich"}), packages & SLOW


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "mnsit-quick"),
        ("run", "nowhere.toml"),
        ("run", "mnist-quick", "--set", "nothing"),
        ("run", "mnist-quick", "--trials", "0"),
        ("run", "--name", "nowhere"),
        ("retrain", "nowhere"),
        ("distil", "mnsit", "tied-cnn"),
        ("config", "mnsit"),
        ("status", "nowhere"),
    ],
    ids=" ".join,
)
def test_an_error_of_usage_waits_for_no_library(arguments: tuple[str, ...], tmp_path: Path) -> None:
    packages = imported(*arguments, "--runs", str(tmp_path), code=2)
    assert packages.isdisjoint(SLOW - {"asyncio", "pydantic"}), packages & SLOW  # of filelock and of typer


def test_studies_are_listed_without_pytorch_and_optuna(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    packages = imported("list", "--runs", str(tmp_path))
    assert "sqlite3" in packages
    assert packages.isdisjoint(SLOW - {"asyncio", "pydantic"}), packages & SLOW  # of filelock and of typer


def test_every_command_is_looked_at() -> None:
    from search.cli.app import app

    assert [command.name for command in app.registered_commands] == COMMANDS
