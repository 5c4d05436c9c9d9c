"""Microcontroller boards as a table for the terminal, with the verdict on a student."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.facts.formats import count
from space.architecture import Architecture
from space.board import Board, Verdict, boards
from space.flash import flash_bytes, ram_bytes

STACK = 256
"""Bytes of stack that a prediction takes at most, of all shipped students on all processors."""
STYLES = {"fits": "green", "tight": "yellow", "too big": "red"}


def board_table(architecture: Architecture | None) -> RenderableType:
    """All boards; of a student too whether it fits, by its closed form."""
    table = Table(box=None, pad_edge=False)
    table.add_column("board", no_wrap=True)
    if architecture is not None:
        table.add_column("verdict", min_width=7, no_wrap=True)
    table.add_column("core", no_wrap=True)
    for name in ("MHz", "flash kB", "RAM kB"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("", overflow="ellipsis", no_wrap=True)
    if architecture is None:
        for board in boards():
            table.add_row(board.name, *_facts(board))
        return table
    for board in boards():
        verdict = _estimate(architecture, board)[0]
        table.add_row(board.name, Text(verdict, STYLES[verdict]), *_facts(board))
    head = Text(f"{architecture.family} {architecture.digest}", style="bold")
    flash, ram = flash_bytes(architecture), ram_bytes(architecture) + STACK
    needs = f"{count(flash)} bytes of flash (Cortex-M4) and {count(ram)} of RAM, in int8, estimated"
    return Group(head, Text(needs), Text(), table)


def estimated_verdict(architecture: Architecture, board: Board) -> str:
    """Whether a student fits a board in int8, with the flash and RAM that it is estimated to take."""
    verdict, flash, ram = _estimate(architecture, board)
    return f"{board.name}: {verdict}, about {count(flash)} bytes of flash and {count(ram)} of RAM in int8"


def _estimate(architecture: Architecture, board: Board) -> tuple[Verdict, int, int]:
    """The verdict, and bytes of flash and RAM."""
    flash, ram = flash_bytes(architecture, board.target), ram_bytes(architecture) + STACK
    return board.verdict(flash_bytes=flash, ram_bytes=ram), flash, ram


def _facts(board: Board) -> tuple[str, ...]:
    return board.core, str(board.clock), count(board.flash), count(board.ram), board.title
