"""Flash, RAM and instructions of the least program around a student in int8, estimated from its architecture."""

import math
import tomllib
from functools import cache
from pathlib import Path

from space.architecture import Architecture

CODE = Path(__file__).with_name("code.toml")
INSTRUCTIONS = {"cortex-m4": 19.4, "cortex-m0": 33.9, "riscv32": 23.6}
"""Instructions a multiply-accumulate, medians over 220 random draws each: activations, sums and loops are in it.

Of the draws 86, 69 and 76 % lie within a factor of 1.8: tests/benchmarks/binaries.py measures them.
"""


def flash_bytes(architecture: Architecture, target: str = "cortex-m4") -> int:
    """Constants and code, with the start of a program [bytes].

    Args:
        architecture: the student's.
        target: a processor that `wunderkind measure` compiles for.
    """
    code = _code_bytes()[target]
    return architecture.cost().int8_bytes + sum(
        code.get(part, 0) * times for part, times in parts(architecture).items()
    )


def parts(architecture: Architecture) -> dict[str, int]:
    """What a student has code for, and how often: "start" and each kind of block, cell and activation once."""
    kinds = {"start"} | ({"sequence"} if len(architecture.shape) == 2 else set())
    applications = 0
    for block in architecture.blocks:
        kinds |= {block.kind, getattr(block, "cell", ""), getattr(block, "activation", "")} - {""}
        tied = block.kind != "liquid_scan"
        if block.kind != "matrix":  # nothing is computed
            applications += getattr(block, "repeats", getattr(block, "unfolds", 1)) if tied else 1
    return dict.fromkeys(sorted(kinds), 1) | {"application": applications}


def instructions(architecture: Architecture, target: str = "cortex-m4") -> int:
    """Instructions that a sample takes on a processor that `wunderkind measure` compiles for, roughly."""
    return round(INSTRUCTIONS[target] * max(1, architecture.cost().macs))


def ram_bytes(architecture: Architecture) -> int:
    """Activations, input and logits, without stack [bytes]."""
    inputs = math.prod(architecture.shape) * (1 if len(architecture.shape) == 3 else 4)
    taken = (architecture.cost().memory_bytes, inputs, architecture.classes)
    return sum(-(-part // 4) * 4 for part in taken)


@cache
def _code_bytes() -> dict[str, dict[str, int]]:
    return tomllib.loads(CODE.read_text(encoding="utf-8"))
