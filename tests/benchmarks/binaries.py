"""What is estimated of binaries against binaries: python tests/benchmarks/binaries.py [DRAWS [TARGET [SEED]]].

Random draws of all families for images and sequences are compiled for a Cortex-M4, or another target, at -Os, and asked
one sample in QEMU. One line of JSON a draw goes to standard error, the summary to standard output, with what
`space/code.toml` would be by these.
"""

import json
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from deployed import draws, quantised, random_samples
from scipy.optimize import nnls

from kd.deploy.c_code import int8_code
from kd.measure.build import Face, build
from kd.measure.emulate import answers
from kd.measure.target import Target, find
from space.architecture import Architecture
from space.flash import flash_bytes, instructions, parts, ram_bytes


def binary(architecture: Architecture, target: Target) -> dict[str, int]:
    """Flash, RAM without stack, and stack of the least program around a student in int8 [bytes], and instructions."""
    samples = random_samples(architecture.shape, 16)
    images = len(architecture.shape) == 3
    with tempfile.TemporaryDirectory() as folder:
        int8_code(quantised(architecture, samples), samples[:1], "a draw").write(Path(folder))
        face = Face(
            inputs=samples[0].numel(),
            outputs=architecture.classes,
            input="uint8_t" if images else "float",
            output="int8_t",
        )
        made = build(Path(folder), face, target, 1, "-Os", Path(folder))
        found = answers(made.program, face, target, np.asarray(samples[:1].flatten(1)), 600)
    image = made.image
    return {"flash": image.flash, "ram": image.ram, "stack": found.stack, "instructions": int(found.counts[0])}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    target = find(sys.argv[2] if len(sys.argv) > 2 else "cortex-m4")
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    every = list(draws(range(first, first + 8)))
    random.Random(0).shuffle(every)
    errors: dict[str, list[float]] = {"flash": [], "RAM": [], "instructions": []}
    taken, deepest = [], 0
    found: list[tuple[Architecture, int]] = []
    for architecture in islice(every, count):
        line = binary(architecture, target)
        errors["flash"].append(flash_bytes(architecture, target.name) / line["flash"] - 1)
        errors["RAM"].append(ram_bytes(architecture) / line["ram"] - 1)
        errors["instructions"].append(instructions(architecture, target.name) / line["instructions"] - 1)
        taken.append(line["instructions"] / max(1, architecture.cost().macs))
        deepest = max(deepest, line["stack"])
        found.append((architecture, line["flash"]))
        print(json.dumps({"architecture": architecture.to_dict(), **line}), file=sys.stderr, flush=True)
    for name, away in errors.items():
        worst = max(away, key=abs)
        within = sum(abs(error) <= 0.1 for error in away)
        print(
            f"{name}: {within} of {len(away)} within 10 %, median {100 * statistics.median(away):+.1f} %, "
            f"worst {100 * worst:+.1f} %"
        )
    print(f"stack: {deepest} bytes at most; {statistics.median(taken):.1f} instructions a multiply-accumulate")
    print(fitted(found))


def fitted(found: Sequence[tuple[Architecture, int]]) -> str:
    """Bytes of code a part, not below 0, by least squares of the relative errors over students and their flash."""
    names = list(dict.fromkeys(name for architecture, _ in found for name in parts(architecture)))
    table = np.array([[parts(architecture).get(name, 0) for name in names] for architecture, _ in found], dtype=float)
    flash = np.array([taken for _, taken in found], dtype=float)
    code = flash - [architecture.cost().int8_bytes for architecture, _ in found]
    sizes, _ = nnls(table / flash[:, None], code / flash)
    return "\n".join(f"{name} = {round(size / 5) * 5}" for name, size in zip(names, sizes, strict=True) if size >= 2.5)


if __name__ == "__main__":
    main()
