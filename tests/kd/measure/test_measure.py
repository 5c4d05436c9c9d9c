"""What is read off a binary, checked on C written by hand, whose cost can be told from its source."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from kd.measure.build import Face
from kd.measure.measure import Question, measure
from kd.measure.measurement import Measurements, keep, known
from kd.measure.target import TARGETS, find
from space.errors import InputError

INPUTS, WEIGHTS, ARENA, LOCALS = 64, 2_000, 1_024, 700
HEADER = """#include <stdint.h>
int wunderkind_predict(const {input} *pixels, {output} *logits);
"""
SOURCE = """#include "student.h"
static const int8_t weights[%d] = {{1, -2, 3}};
static volatile {output} arena[%d];
int wunderkind_predict(const {input} *pixels, {output} *logits)
{{
    volatile uint8_t locals[%d];
    int i, k;
    locals[0] = 1;
    locals[%d] = 2;
    for (k = 0; k < 3; k++) {{
        int32_t sum = 0;
        for (i = 0; i < 64; i++)
            sum += (int32_t)(weights[64 * k + i] * pixels[i]);
        arena[k] = ({output})(sum / 16 + locals[0]);
        logits[k] = arena[k];
    }}
    return 0;
}}
""" % (WEIGHTS, ARENA, LOCALS, LOCALS - 1)  # noqa: UP031  # C is full of braces
BARE = [name for name, target in TARGETS.items() if target.bare]


def tools(name: str) -> None:
    target = TARGETS[name]
    if shutil.which(target.compiler) is None or (target.bare and shutil.which(target.emulator[0]) is None):
        pytest.skip(f"needs {' '.join(target.packages)}")


def question(folder: Path, output: str = "int8_t", input: str = "uint8_t", samples: int = 5) -> Question:
    face = Face(inputs=INPUTS, outputs=3, input=input, output=output)  # type: ignore[arg-type]
    (folder / "student.h").write_text(HEADER.format(input=input, output=output))
    (folder / "student.c").write_text(SOURCE.format(input=input, output=output))
    given = np.random.default_rng(0).integers(0, 256, (samples, INPUTS))
    weights = np.zeros((3, INPUTS), np.int64)
    weights[0, :3] = 1, -2, 3
    sums = given.astype(np.int64) @ weights.T
    logits = (np.sign(sums) * (np.abs(sums) // 16) + 1).astype(np.int8)
    return Question(source=folder, face=face, samples=given, logits=logits, classes=logits.argmax(1), data="")


@pytest.mark.parametrize("output", ["int8_t", "float"])
@pytest.mark.parametrize("name", TARGETS)
def test_size_stack_and_answers_are_those_of_the_source(name: str, output: str, tmp_path: Path) -> None:
    tools(name)
    found = measure(question(tmp_path, output), find(name))
    width = 4 if output == "float" else 1
    assert WEIGHTS < found.flash < WEIGHTS + 800
    assert found.ram == ARENA * width
    assert found.image_flash >= found.flash - 100
    assert found.image_ram >= found.ram + INPUTS * TARGETS[name].bare
    assert LOCALS <= found.stack < LOCALS + 300
    assert (found.equal, found.answers_equal, found.samples) == (5, 5, 5)
    assert (found.instructions is None) == (not TARGETS[name].bare) == (found.c_ms is not None)


@pytest.mark.parametrize("name", BARE)
def test_instructions_are_counted_and_repeat(name: str, tmp_path: Path) -> None:
    tools(name)
    asked = question(tmp_path)
    first, again = (measure(asked, find(name)).instructions for _ in range(2))
    assert first == again
    (tmp_path / "student.c").write_text((tmp_path / "student.c").read_text().replace("< 64", "< 32"))
    half = measure(asked, find(name)).instructions
    assert first is not None and half is not None
    loops = 3 * 32  # passes of the inner loop that are gone, of at least three instructions each
    assert 3 * loops <= first - half <= 12 * loops


def test_floating_inputs_arrive(tmp_path: Path) -> None:
    found = measure(question(tmp_path, "float", "float"), find("host"))
    assert (found.equal, found.answers_equal) == (5, 5)


def test_a_missing_tool_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool.startswith("qemu") else f"/bin/{tool}")
    with pytest.raises(InputError, match=r"cortex-m4 needs qemu-system-arm, not found: apt-get install gcc-arm-none"):
        find("cortex-m4")
    with pytest.raises(InputError, match="unknown target 'z80': use one of cortex-m0, cortex-m4, riscv32, host"):
        find("z80")


def test_what_does_not_compile_is_one_line(tmp_path: Path) -> None:
    asked = question(tmp_path)
    (tmp_path / "student.c").write_text("int wunderkind_predict(;")
    with pytest.raises(InputError, match=r"gcc failed with exit code 1: .*error") as error:
        measure(asked, find("host"))
    assert "\n" not in str(error.value)


def test_measurements_are_kept_beside_the_student_until_it_changes(tmp_path: Path) -> None:
    student = tmp_path / "student.safetensors"
    found = measure(question(tmp_path), find("host"))
    keep(student, known(student, "a", 1).having(found).having(found))
    assert known(student, "a", 1) == Measurements(digest="a", checksum=1, measured=(found,))
    assert known(student, "a", 1).of("host", "int8") == found
    assert known(student, "a", 2).measured == ()
    (tmp_path / "student.measurements.json").write_text("{}")
    with pytest.raises(InputError, match="measure again"):
        known(student, "a", 1)
