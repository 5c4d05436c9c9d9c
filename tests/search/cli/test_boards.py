"""`wunderkind boards` and `--board`: the table, verdicts, and the budget of a search."""

from pathlib import Path

from command_line import wunderkind

from space.board import find
from studies.configuration.file import read


def test_boards_are_listed_with_a_verdict_on_a_student(tmp_path: Path) -> None:
    alone = wunderkind("boards", folder=tmp_path).stdout
    assert "microbit-v1" in alone and "fits" not in alone
    lines = wunderkind("boards", "tied-depthwise-10k", folder=tmp_path).stdout.splitlines()
    verdicts = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[4:]}
    assert verdicts["ch32v003"].startswith("too big")
    assert verdicts["pico"].startswith("fits")


def test_a_board_sets_the_budget_of_a_search(tmp_path: Path) -> None:
    config = read("mnist", ['space.board="stm32g030"'])
    assert config.budget.limits.items() >= find("stm32g030").limits().items()
    lowered = read("mnist", ["space.board=stm32g030", "budget.memory_bytes=3000", "budget.int8_bytes=10000000"])
    assert lowered.budget.memory_bytes == 3_000
    assert lowered.budget.int8_bytes == find("stm32g030").limits()["int8_bytes"]
    shown = wunderkind("config", "mnist", "--board", "stm32g030", folder=tmp_path).stdout
    assert f"budget.memory_bytes = {config.budget.memory_bytes}" in shown
    result = wunderkind("run", "mnist-quick", "--board", "uno", folder=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: unknown board 'uno': use one of ch32v003, ")
