"""Whether a student fits a microcontroller board, in words, and all boards as a table for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kd.measure.measurement import Measurement
from reports.facts.formats import count, number
from space.architecture import Architecture
from space.board import Board, Verdict, boards
from space.flash import flash_bytes, instructions, ram_bytes

STACK = 344
"""Bytes of stack that a prediction takes at most, of 220 random draws on each processor."""
STYLES = {"fits": "green", "tight": "yellow", "too big": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A student in int8 on a board: the verdict, flash and RAM with stack [bytes], and how long a sample lasts.

    All of it is by a binary that was `measured` on such a core, else by the architecture alone.
    """

    board: Board
    verdict: Verdict
    flash: int
    ram: int
    milliseconds: float
    measured: bool

    @property
    def short(self) -> str:
        """In a few words."""
        return f"{self.verdict}, about {self.duration}"

    @property
    def duration(self) -> str:
        """Milliseconds, with two digits where they are estimated."""
        return f"{number(float(f'{self.milliseconds:.{3 if self.measured else 2}g}'))} ms"

    @property
    def in_words(self) -> str:
        """In a line."""
        how = "measured on such a core" if self.measured else "estimated"
        return (
            f"{self.board.name}: {self.verdict}, {count(self.flash)} bytes of flash and {count(self.ram)} of RAM in "
            f"int8, {how}, and about {self.duration} a sample"
        )


def judge(architecture: Architecture, board: Board, measured: Sequence[Measurement] = ()) -> Judgement:
    """Whether a student fits a board, by what was measured of it on a core of that kind, if anything was."""
    for one in measured:
        if (one.target, one.form) == (board.target, "int8") and one.instructions is not None:
            flash, ram, taken = one.image_flash, one.all_ram, one.instructions
            break
    else:
        flash, ram = flash_bytes(architecture, board.target), ram_bytes(architecture) + STACK
        one, taken = None, instructions(architecture, board.target)
    return Judgement(
        board=board,
        verdict=board.verdict(flash_bytes=flash, ram_bytes=ram),
        flash=flash,
        ram=ram,
        milliseconds=board.milliseconds(taken),
        measured=one is not None,
    )


def board_table(architecture: Architecture | None) -> RenderableType:
    """All boards; of a student too whether it fits, by its closed form."""
    table = Table(box=None, pad_edge=False)
    table.add_column("board", no_wrap=True, min_width=max(len(board.name) for board in boards()))
    if architecture is not None:
        table.add_column("verdict", min_width=7, no_wrap=True)
        longest = max(len(judge(architecture, board).duration) for board in boards())
        table.add_column("about", justify="right", no_wrap=True, min_width=longest)
    table.add_column("core", no_wrap=True, min_width=max(len(board.core) for board in boards()))
    for name in ("MHz", "flash kB", "RAM kB"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("", overflow="ellipsis", no_wrap=True)
    if architecture is None:
        for board in boards():
            table.add_row(board.name, *_facts(board))
        return table
    for board in boards():
        found = judge(architecture, board)
        table.add_row(board.name, Text(found.verdict, STYLES[found.verdict]), found.duration, *_facts(board))
    head = Text(f"{architecture.family} {architecture.digest}", style="bold")
    flash, ram = flash_bytes(architecture), ram_bytes(architecture) + STACK
    needs = f"{count(flash)} bytes of flash (Cortex-M4) and {count(ram)} of RAM, in int8, estimated"
    return Group(head, Text(needs), Text(), table)


def _facts(board: Board) -> tuple[str, ...]:
    return board.core, str(board.clock), count(board.flash), count(board.ram), board.title
