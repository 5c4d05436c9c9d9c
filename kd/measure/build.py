"""A student's C compiled for a target, and how much flash and RAM it takes, as `size` reads them off the binary."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kd.measure.target import FIRMWARE, LIBRARY, Target, run

FLASH = (".text", ".rodata", ".srodata", ".data", ".sdata", ".ARM.ex", ".vectors")
RAM = (".data", ".sdata", ".bss", ".sbss", "COMMON")
"""First parts of the names of sections that lie in flash and in RAM; initialised variables lie in both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What `wunderkind_predict` takes and gives: how many values of which type of C."""

    inputs: int
    outputs: int
    input: Literal["uint8_t", "float"]
    output: Literal["int8_t", "float"]

    @property
    def defines(self) -> list[str]:
        """Definitions for the firmware."""
        types = f"-DINPUT={self.input}", f"-DOUTPUT={self.output}"
        return [*types, f"-DINPUTS={self.inputs}", f"-DOUTPUTS={self.outputs}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Flash, and RAM without stack [bytes]."""

    flash: int
    ram: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A student on one target.

    `student` is what its own object takes, weights and code; `image` is the least program around it, with start,
    input and the parts of the C library that it needs; `program` answers samples in the emulator.
    """

    student: Size
    image: Size
    program: Path


def build(source: Path, face: Face, target: Target, samples: int, optimisation: str, out: Path) -> Build:
    """Compile a student.

    Args:
        source: folder with `student.h` and `student.c`.
        face: what the student takes and gives.
        target: the processor.
        samples: how many the program is to answer.
        optimisation: the compiler's, like "-Os".
        out: an empty folder to build in.

    Raises:
        InputError: when the compiler fails; it is quoted.
    """
    library = [f"--specs={LIBRARY}"] if target.bare else []
    common: list[str | Path] = [
        *(target.compiler, *target.flags, *library, optimisation, "-ffunction-sections", "-fdata-sections"),
        *(f"-I{source}", f"-I{FIRMWARE}", *face.defines, f"-DSAMPLES={samples}"),
    ]
    student, program = out / "student.o", out / "program.elf"
    run([*common, "-std=c99", "-c", source / "student.c", "-o", student])
    parts: list[str | Path] = [FIRMWARE / "harness.c", FIRMWARE / target.platform, student]
    if not target.bare:
        run([*common, "-std=gnu11", *parts, "-o", program, "-lm", "-lpthread", "-Wl,-z,now"])
        own = size(target, student)
        return Build(student=own, image=own, program=program)
    linked: list[str | Path] = [
        *(*common, "-std=gnu11", f"-DSAMPLES_AT={target.samples_at}u", "-nostartfiles"),
        *("-Wl,--gc-sections", f"-Wl,--defsym=FLASH_AT={target.flash_at}", f"-Wl,--defsym=RAM_AT={target.ram_at}"),
        *("-T", FIRMWARE / "link.ld"),
    ]
    run([*linked, *parts, "-o", program, "-lm"])
    run([*linked, FIRMWARE / "image.c", student, "-o", out / "image.elf", "-lm"])
    return Build(student=size(target, student), image=size(target, out / "image.elf"), program=program)


def size(target: Target, binary: Path) -> Size:
    """Flash and RAM of a binary, by the sections that `size` lists."""
    lines = (line.split() for line in run([f"{target.prefix}size", "-A", binary]).splitlines())
    sections = [(parts[0], int(parts[1])) for parts in lines if len(parts) == 3 and parts[1].isdigit()]
    return Size(flash=_sum(sections, FLASH), ram=_sum(sections, RAM))


def _sum(sections: Iterable[tuple[str, int]], names: tuple[str, ...]) -> int:
    return sum(taken for name, taken in sections if name.startswith(names))
