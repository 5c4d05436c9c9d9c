"""A built student run in its target's emulator: answers, instructions, stack."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kd.measure.build import Face
from kd.measure.target import Target, run
from space.errors import InputError

COUNTING = ("-nographic", "-monitor", "none", "-icount", "shift=0")
"""Under `-icount shift=0` an instruction lasts one nanosecond of the emulated clock, whatever this machine does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Logits (samples, outputs), int8 or float32; `counts` (samples,): instructions, on this machine nanoseconds.

    `stack` is how deep a prediction went [bytes].
    """

    logits: NDArray[np.generic]
    counts: NDArray[np.int64]
    stack: int


def answers(program: Path, face: Face, target: Target, samples: NDArray[np.generic], seconds: float) -> Answers:
    """Run the program of a build on samples (n, inputs), of the type that its face takes.

    Raises:
        InputError: when it does not end well within so many seconds.
    """
    content = np.ascontiguousarray(samples, dtype=np.uint8 if face.input == "uint8_t" else np.float32).tobytes()
    if not target.bare:
        return _read(run([program], content, seconds), target, face, len(samples))
    stored = program.with_suffix(".samples")
    stored.write_bytes(content)
    loader = f"loader,file={stored},addr={target.samples_at:#x},force-raw=on"
    command: list[str | Path] = [*target.emulator, *COUNTING, "-kernel", program, "-device", loader]
    return _read(run(command, seconds=seconds), target, face, len(samples))


def _read(text: str, target: Target, face: Face, samples: int) -> Answers:
    *lines, last = text.splitlines() or [""]
    rows = [list(map(int, line.split())) for line in lines if line[:1].isdigit()]
    if len(rows) != samples or not last.startswith("stack ") or any(len(row) != 2 + face.outputs for row in rows):
        raise InputError(f"{target.name} answered {len(rows)} of {samples} samples, then stopped: is RAM too small?")
    table = np.array(rows, dtype=np.int64)
    bits = table[:, 2:]
    logits = bits.astype(np.int8) if face.output == "int8_t" else bits.astype(np.uint32).view(np.float32)
    return Answers(logits=logits, counts=table[:, 1], stack=int(last.split()[1]))
