"""Processors that a student's C is measured on: their compiler, their emulator, and what to install for them."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from space.errors import InputError, first_line

FIRMWARE = Path(__file__).with_name("firmware")
LIBRARY = "picolibc.specs"
"""What compilers for bare metal take from the C library that the student's mathematics need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One processor; this machine has no `emulator` and no addresses.

    `emulator` is the command that an image, `-kernel`, and samples are appended to; `packages` are Debian's.
    """

    name: str
    prefix: str
    flags: tuple[str, ...]
    platform: str
    packages: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    flash_at: int = 0
    ram_at: int = 0
    samples_at: int = 0

    @property
    def compiler(self) -> str:
        """The compiler's command."""
        return f"{self.prefix}gcc"

    @property
    def bare(self) -> bool:
        """Whether no operating system is below it."""
        return bool(self.emulator)


ARM = ("gcc-arm-none-eabi", "picolibc-arm-none-eabi", "qemu-system-arm")
RISCV = ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf", "qemu-system-misc")


def _cortex(name: str, machine: str, *flags: str) -> Target:
    # the instructions of a Cortex-M0 are run on an M3, which has them all: the board with an M0 has no room to measure
    return Target(
        name=name,
        prefix="arm-none-eabi-",
        flags=(f"-mcpu={name}", "-mthumb", *flags),
        platform="arm.c",
        packages=ARM,
        emulator=(
            *("qemu-system-arm", "-machine", machine, "-serial", "none", "-chardev", "stdio,id=out"),
            *("-semihosting-config", "enable=on,target=native,chardev=out"),
        ),
        flash_at=0,
        ram_at=0x2000_0000,
        samples_at=0x2100_0000,
    )


TARGETS = {
    target.name: target
    for target in (
        _cortex("cortex-m0", "mps2-an385"),
        _cortex("cortex-m4", "mps2-an386", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
        Target(
            name="riscv32",
            prefix="riscv64-unknown-elf-",
            flags=("-march=rv32imc", "-mabi=ilp32"),
            platform="riscv.c",
            packages=RISCV,
            emulator=("qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-serial", "stdio"),
            flash_at=0x8000_0000,
            ram_at=0x8040_0000,
            samples_at=0x8400_0000,
        ),
        Target(name="host", prefix="", flags=(), platform="host.c", packages=("gcc", "libc6-dev")),
    )
}


def find(name: str) -> Target:
    """The target of this name; raises InputError for another one, and where a tool that it needs is missing."""
    if name not in TARGETS:
        raise InputError(f"unknown target '{name}': use one of {', '.join(TARGETS)}")
    target = TARGETS[name]
    tools = [target.compiler, f"{target.prefix}size", *target.emulator[:1]]
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if not missing and target.bare and not Path(run([target.compiler, f"-print-file-name={LIBRARY}"])).is_file():
        missing = [f"picolibc for {target.compiler}"]
    if missing:
        raise InputError(
            f"target {name} needs {', '.join(missing)}, not found: apt-get install {' '.join(target.packages)}"
        )
    return target


def run(command: Sequence[str | Path], content: bytes = b"", seconds: float = 300) -> str:
    """What a command prints; raises InputError, of one line, when it fails or takes too long."""
    words = list(map(str, command))
    try:
        done = subprocess.run(words, input=content, capture_output=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{words[0]} has run for {seconds:.0f} s without an end: measure fewer samples") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        lines = [line for line in said.splitlines() if "error" in line.lower()] or [said]
        raise InputError(f"{words[0]} failed with exit code {done.returncode}: {first_line(lines[0])}")
    return done.stdout.decode(errors="replace").strip()
