"""C of random students against PyTorch: python tests/benchmarks/deployed.py [DRAWS]. Needs gcc."""

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kd.deploy.c_code import CCode, float_code, int8_code
from kd.deploy.calibration import calibrate
from kd.deploy.export import STRICT
from kd.deploy.integers import IntegerProgram
from kd.deploy.lower import lower
from kd.deploy.quantize import quantize
from kd.deploy.reference import answer
from kd.students.file import TrainedStudent
from space.architecture import FAMILIES, Architecture
from space.network import build
from space.sampling.domain import Domain, suggest
from space.sampling.families import unsupported_reason
from space.sampling.random_trial import RandomTrial

SHAPES = ((1, 28, 28), (3, 32, 32), (2, 9, 20), (1, 4, 3), (1, 1, 7), (4, 1, 1), (40, 3), (7, 1), (1, 5))
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
READER = """#include <stdio.h>
#include "student.h"

int main(void)
{
    static %s sample[WUNDERKIND_INPUT];
    %s logits[WUNDERKIND_CLASSES];
    while (fread(sample, sizeof sample[0], WUNDERKIND_INPUT, stdin) == WUNDERKIND_INPUT) {
        int32_t answer = wunderkind_predict(sample, logits);
        fwrite(&answer, sizeof answer, 1, stdout);
        fwrite(logits, sizeof logits[0], WUNDERKIND_CLASSES, stdout);
    }
    return 0;
}
"""


def draws(seeds: range) -> Iterator[Architecture]:
    """Random architectures: every family on every kind of input that it takes."""
    for shape in SHAPES:
        for family in FAMILIES:
            if unsupported_reason(family, shape) is None:
                for seed in seeds:
                    yield suggest(RandomTrial(random.Random(seed), {"family": family}), Domain(), shape, 10)


def random_student(architecture: Architecture, seed: int = 0) -> TrainedStudent:
    """A student with random weights and norms that are no identity."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build(architecture)
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.3, 2)
                torch.nn.init.uniform_(part.weight, 0.5, 1.5)
                if part.bias is not None:
                    torch.nn.init.normal_(part.bias, 0, 0.3)
    channels = architecture.shape[-1] if len(architecture.shape) == 2 else architecture.shape[0]
    generator = random.Random(seed)
    mean, std = (tuple(generator.uniform(0.2, 0.5) for _ in range(channels)) for _ in range(2))
    parameters = architecture.cost().parameters
    return TrainedStudent(
        module=module.eval(), architecture=architecture, mean=mean, std=std, data="none", parameters=parameters
    )


def random_samples(shape: tuple[int, ...], count: int) -> torch.Tensor:
    """Images, uint8, or sequences of numbers from 0 to 1."""
    generator = torch.Generator().manual_seed(0)
    if len(shape) == 2:
        return torch.rand(count, *shape, generator=generator)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)


STREAMER = READER.replace(
    "int32_t answer = wunderkind_predict(sample, logits);",
    """int32_t answer;
        int i;
        wunderkind_begin();
        for (i = 0; i < WUNDERKIND_INPUT; i += FEATURES)
            wunderkind_step(sample + i);
        answer = wunderkind_end(logits);""",
)
"""The same, a time step at a time; -DFEATURES=n says how many features one has."""


def run_c(code: CCode, samples: torch.Tensor, flags: tuple[str, ...] = ("-O2",), reader: str = READER) -> NDArray[Any]:
    """Answers of compiled code: records of `answer` and `logits`."""
    quantised = "int8_t *logits" in code.header
    kinds = "uint8_t" if samples.dtype == torch.uint8 else "float", "int8_t" if quantised else "float"
    with tempfile.TemporaryDirectory() as folder:
        code.write(Path(folder))
        (Path(folder) / "reader.c").write_text(reader % kinds)
        command = ["gcc", *STRICT, *flags, "student.c", "reader.c", "-o", "reader", *([] if quantised else ["-lm"])]
        subprocess.run(command, cwd=folder, check=True)
        content = samples.numpy().tobytes()
        done = subprocess.run([Path(folder) / "reader"], input=content, capture_output=True, check=True)
    classes = int(code.header.split("WUNDERKIND_CLASSES ")[1].split()[0])
    record = np.dtype([("answer", "<i4"), ("logits", "i1" if quantised else "<f4", classes)])
    return np.frombuffer(done.stdout, record)


def float_difference(architecture: Architecture, flags: tuple[str, ...] = ("-O2",)) -> float:
    """Largest difference of a logit of float C from PyTorch, as a share of the largest (at least 1)."""
    student, samples = random_student(architecture), random_samples(architecture.shape, 4)
    code = float_code(lower(student), samples[:1], architecture.digest)
    found, expected = run_c(code, samples, flags), student.logits(samples).numpy()
    assert (found["answer"] == found["logits"].argmax(1)).all()
    return float(np.abs(found["logits"] - expected).max() / max(1.0, np.abs(expected).max()))


def quantised(architecture: Architecture, samples: torch.Tensor) -> IntegerProgram:
    """A random student in integers, calibrated on samples."""
    program = lower(random_student(architecture))
    return quantize(program, calibrate(program, samples))


def int8_differences(architecture: Architecture, flags: tuple[str, ...] = ("-O2",)) -> int:
    """Answers and logits in which int8 C differs from the reference, of 16 samples."""
    samples = random_samples(architecture.shape, 16)
    program = quantised(architecture, samples[:12])
    answers, logits = answer(program, samples)
    found = run_c(int8_code(program, samples[:1], architecture.digest), samples, flags)
    return int((found["answer"] != answers.numpy()).sum() + (found["logits"] != logits.numpy()).sum())


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seeds = range(-(-count // len(list(draws(range(1))))))
    worst, wrong = 0.0, 0
    for number, architecture in enumerate(draws(seeds), start=1):
        worst = max(worst, float_difference(architecture))
        wrong += int8_differences(architecture) > 0
        print(
            f"\r{number} draws: float C differs by at most {worst:.2g} of the largest logit, int8 C from the reference "
            f"in {wrong}",
            end="",
            flush=True,
        )
    print()


if __name__ == "__main__":
    main()
