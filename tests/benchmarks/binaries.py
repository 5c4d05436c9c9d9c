"""Flash and RAM in closed form against binaries: python tests/benchmarks/binaries.py [DRAWS [TARGET [SEED]]].

Random draws of all families for images and sequences are compiled for a Cortex-M4, or another target, at -Os. One line
of JSON a draw goes to standard error, the summary to standard output.
"""

import json
import random
import statistics
import sys
import tempfile
from itertools import islice
from pathlib import Path

from deployed import draws, quantised, random_samples

from kd.deploy.c_code import int8_code
from kd.measure.build import Face, build
from kd.measure.target import Target, find
from space.architecture import Architecture
from space.board import flash_bytes, ram_bytes


def binary(architecture: Architecture, target: Target) -> tuple[int, int]:
    """Flash, and RAM without stack, of the least program around a student in int8 [bytes]."""
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
        image = build(Path(folder), face, target, 1, "-Os", Path(folder)).image
    return image.flash, image.ram


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    target = find(sys.argv[2] if len(sys.argv) > 2 else "cortex-m4")
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    every = list(draws(range(first, first + 8)))
    random.Random(0).shuffle(every)
    errors: dict[str, list[float]] = {"flash": [], "RAM": []}
    for architecture in islice(every, count):
        flash, ram = binary(architecture, target)
        errors["flash"].append(flash_bytes(architecture) / flash - 1)
        errors["RAM"].append(ram_bytes(architecture) / ram - 1)
        line = {"architecture": architecture.to_dict(), "flash": flash, "ram": ram}
        print(json.dumps(line), file=sys.stderr, flush=True)
    for name, found in errors.items():
        worst = max(found, key=abs)
        within = sum(abs(error) <= 0.1 for error in found)
        print(
            f"{name}: {within} of {len(found)} within 10 %, median {100 * statistics.median(found):+.1f} %, "
            f"worst {100 * worst:+.1f} %"
        )


if __name__ == "__main__":
    main()
