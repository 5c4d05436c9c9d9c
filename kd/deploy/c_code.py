"""A student as C: one header, one source, and a main program with a sample whose answer is known."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from torch import Tensor

from kd.deploy.arena import Plan, plan
from kd.deploy.c_float import float_source
from kd.deploy.c_int8 import int8_source
from kd.deploy.c_source import Source, rows
from kd.deploy.integers import IntegerProgram
from kd.deploy.interpret import run
from kd.deploy.program import Program
from kd.deploy.quantize_cells import FRACTION
from kd.deploy.reference import answer
from kd.deploy.tables import TABLE
from kd.files import write_whole
from space.blocks.base import size

TEMPLATES = Path(__file__).parent / "templates"
HEADER, SOURCE, MAIN = "student.h", "student.c", "main.c"
TOLERANCE = 1e-4
"""Largest difference of a logit in float, as a share of the largest logit (at least 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CCode:
    """Three files of C, the bytes of the arena and those of all constants."""

    header: str
    source: str
    main: str
    arena_bytes: int
    constant_bytes: int

    def write(self, folder: Path) -> None:
        """Write the files into a folder, which is made if it is not there."""
        for name, content in ((HEADER, self.header), (SOURCE, self.source), (MAIN, self.main)):
            write_whole(folder / name, content)


def float_code(program: Program, sample: Tensor, title: str) -> CCode:
    """A program in float; `sample`, (1, …) as a `kd.data.dataset.Split` has them, is the one of the main program."""
    places = plan(program, quantised=False)
    with torch.no_grad():
        logits = run(program, sample)[0]
    tolerance = max(1.0, float(logits.abs().max())) * TOLERANCE
    facts = {"output_type": "float", "arena_bytes": 4 * places.size, "tolerance": f"{tolerance:.3g}"}
    facts |= _interface(program, title) | _answer(sample, logits, int(logits.argmax()))
    return _code(float_source(program, places), places, facts)


def int8_code(program: IntegerProgram, sample: Tensor, title: str) -> CCode:
    """A quantised program; `sample` as that of `float_code`."""
    places = plan(program.program, quantised=True)
    answers, logits = answer(program, sample)
    facts = {
        "output_type": "int8_t",
        "arena_bytes": places.size,
        "logit_scale": f"{program.logits.scale:.6g}",
        "logit_zero": program.logits.zero,
        "table": TABLE,
        "table_rows": rows(np.array(TABLE, np.int32)),
        "fraction": FRACTION,
        "input_shift": program.input.shift,
        "input_zero": program.input.quantisation.zero,
    }
    facts |= _interface(program.program, title) | _answer(sample, logits[0], int(answers[0]))
    return _code(int8_source(program, places), places, facts)


def _code(source: Source, places: Plan, facts: dict[str, Any]) -> CCode:
    stream = None
    if source.stream is not None and facts["counts"]:
        stream = replace(source.stream, calls="\n".join(source.calls[source.streamed :]))
    facts = facts | {
        "arena": places.size,
        "start": places.places[0].found,
        "uses": _uses(source),
        "constants": "\n".join(source.constants),
        "calls": "\n".join(source.calls),
        "stream": stream,
    }
    return CCode(
        header=_render("student.h.j2", facts),
        source=_render(f"{'float' if facts['output_type'] == 'float' else 'int8'}.c.j2", facts),
        main=_render("main.c.j2", facts),
        arena_bytes=int(facts["arena_bytes"]),
        constant_bytes=source.bytes,
    )


def _answer(sample: Tensor, logits: Tensor, best: int) -> dict[str, Any]:
    """What the main program says of its sample."""
    return {"sample": rows(_as_c(sample)), "known": rows(logits.numpy()).strip(), "answer": best}


def _interface(program: Program, title: str) -> dict[str, Any]:
    """What header and sources say of input and output."""
    channels = len(program.scale)
    positions = int(np.prod(program.shape)) // channels
    if program.sequences:
        shape = {"input_type": "float", "input": "sequence", "layout": "time by time, its features side by side"}
        index = f"i * {channels} + c"
    else:
        shape = {"input_type": "uint8_t", "input": "pixels", "layout": "channel by channel, row by row, 0 to 255"}
        index = f"c * {positions} + i"
    features = size(program.operations[-1].source)
    return shape | {
        "title": title,
        "header": HEADER,
        "inputs": channels * positions,
        "counts": program.sequences,
        "input_index": index,
        "channels": channels,
        "positions": positions,
        "classes": program.classes,
        "features": features,
    }


def _uses(source: Source) -> set[str]:
    """Parts of a template, and those that they need."""
    needed = {
        "sigmoids": {"silu", "sigmoid", "cell"},
        "average": {"gate"},
        "activate": {"convolve", "separable", "gate", "row_column", "mix"},
    }
    return source.uses | {part for part, users in needed.items() if source.uses & users}


def _as_c(sample: Tensor) -> Any:
    return sample.numpy().reshape(-1).astype(np.uint8 if sample.dtype == torch.uint8 else np.float32)


def _render(name: str, facts: dict[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C, not HTML
    )
    return environment.get_template(name).render(facts)
