"""The table of boards, the budgets that follow from it and the verdicts."""

import pytest

from space.board import CODE_BYTES, STACK_BYTES, TARGETS, Board, boards, find
from space.budget import Budget
from space.errors import InputError

FLASH_AND_RAM = {
    "nucleo-l010rb": (128, 20),
    "microbit-v1": (256, 16),
    "nano-33-iot": (256, 32),
    "nucleo-l412kb": (128, 40),
    "microbit-v2": (512, 128),
    "nano-33-ble": (1024, 256),
    "pico": (2048, 264),
    "esp32-c3": (4096, 400),
}
"""Read in the data sheets, apart from the table."""


def test_the_table_is_sound() -> None:
    found = boards()
    assert [board.ram for board in found] == sorted(board.ram for board in found)
    assert {board.name: (board.flash, board.ram) for board in found}.items() >= FLASH_AND_RAM.items()
    for board in found:
        assert board.core in TARGETS
        assert board.chip and board.source and 8 <= board.clock <= 600
        Budget(**board.limits())
        assert min(board.limits().values()) > 0


@pytest.mark.parametrize("board", boards(), ids=lambda board: board.name)
def test_what_keeps_to_the_budget_of_a_board_is_not_too_big(board: Board) -> None:
    limits = board.limits()
    flash, ram = limits["int8_bytes"] - 1 + CODE_BYTES, limits["memory_bytes"] - 1 + STACK_BYTES
    assert board.verdict(flash_bytes=flash, ram_bytes=ram) == "tight"
    assert board.verdict(flash_bytes=flash + 2, ram_bytes=ram) == "too big"
    assert board.verdict(flash_bytes=flash // 2, ram_bytes=ram // 2) == "fits"


def test_an_unknown_board_is_one_line() -> None:
    with pytest.raises(InputError, match=r"unknown board 'microbit': did you mean microbit-v\d or microbit-v\d\? use"):
        find("microbit")
