"""Microcontroller boards: their memory, the budget that follows from it, and whether a student fits."""

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from space.errors import InputError, did_you_mean

TABLE = Path(__file__).with_name("boards.toml")
KILOBYTE = 1_024

CODE_BYTES = 5 * KILOBYTE
"""Flash that a budget leaves to the code of a student, whichever its blocks are, and to the start of a program."""
STACK_BYTES = 1 * KILOBYTE
"""RAM that a budget leaves to the input, the stack and the variables of a program."""
ROOMY = 0.5
"""Share of flash and of RAM up to which a student fits: as much is left for the program around it."""
CYCLES = 1.5
"""Clock cycles that an instruction is taken to last: an assumption, for loads, branches and waiting for flash."""

Core = Literal["cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33", "riscv32"]
Verdict = Literal["fits", "tight", "too big"]

TARGETS = {
    "cortex-m0": "cortex-m0",
    "cortex-m0plus": "cortex-m0",
    "cortex-m3": "cortex-m0",
    "cortex-m4": "cortex-m4",
    "cortex-m33": "cortex-m4",
    "riscv32": "riscv32",
}
"""The core on which `wunderkind measure` compiles for a board's core: one whose instructions that core has, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board: `flash` and `ram` [kB of 1,024 bytes], `clock` [MHz], and the document that says so.

    >>> board = find("microbit-v1")
    >>> board.core, board.verdict(flash_bytes=20_000, ram_bytes=9_000)
    ('cortex-m0', 'tight')
    >>> board.limits()
    {'int8_bytes': 257024, 'memory_bytes': 15360}
    """

    name: str
    title: str
    chip: str
    core: Core
    flash: int
    ram: int
    clock: int
    source: str

    @property
    def target(self) -> str:
        """The target of `wunderkind measure` that stands for it."""
        return TARGETS[self.core]

    def limits(self) -> dict[str, int]:
        """Limits of a `space.budget.Budget`: what flash and RAM leave to weights and to activations [bytes]."""
        return {
            "int8_bytes": self.flash * KILOBYTE - CODE_BYTES,
            "memory_bytes": self.ram * KILOBYTE - STACK_BYTES,
        }

    def verdict(self, *, flash_bytes: int, ram_bytes: int) -> Verdict:
        """Whether a student fits that takes this much, code, stack and all."""
        share = max(flash_bytes / (self.flash * KILOBYTE), ram_bytes / (self.ram * KILOBYTE))
        if share <= ROOMY:
            return "fits"
        return "tight" if share <= 1 else "too big"

    def milliseconds(self, instructions: int) -> float:
        """An estimate of how long so many instructions last, at `CYCLES` cycles each."""
        return CYCLES * instructions / (1e3 * self.clock)


def boards() -> list[Board]:
    """All boards of the table, smallest RAM first."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return [Board(name=name, **facts) for name, facts in table.items()]


def find(name: str) -> Board:
    """The board of this name; raises InputError."""
    known = {board.name: board for board in boards()}
    if name not in known:
        alike = did_you_mean(get_close_matches(name, known))
        raise InputError(f"unknown board '{name}': {alike}use one of {', '.join(known)}")
    return known[name]
