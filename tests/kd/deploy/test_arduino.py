"""The Arduino library compiles as sketches are, and its example answers right."""

import subprocess
from pathlib import Path

import pytest
import torch

from kd.data.dataset import DataSet
from kd.deploy.arduino import arduino_library
from kd.deploy.c_code import float_code
from kd.deploy.lower import lower
from kd.files import write_whole
from kd.students.file import trained_student
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.blocks.liquid import LiquidScan
from space.network import build

STUB = """#pragma once
#include <stdint.h>
#include <stdio.h>
struct Port {
  void begin(long) {}
  void print(const char *text) { fputs(text, stdout); }
  void print(long number) { printf("%ld", number); }
  void print(unsigned long number) { printf("%lu", number); }
  void print(int number) { printf("%d", number); }
  void println(const char *text) { puts(text); }
};
static Port Serial;
static unsigned long micros() { return 0; }
static void delay(unsigned long) {}
"""
MAIN = """#include <Arduino.h>
#include "Answer.ino"
int main() { setup(); loop(); return 0; }
"""
BLOCKS: dict[str, tuple[AnyBlock, ...]] = {
    "images": (Convolution(width=4, stride=2), GlobalAverage()),
    "sequences": (LiquidScan(cell="cfc", hidden=4),),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_the_library_compiles_and_its_example_answers(
    kind: str, tmp_path: Path, small_data: DataSet, sequences: DataSet
) -> None:
    data = small_data if kind == "images" else sequences
    architecture = Architecture(family="hybrid", shape=data.shape, classes=data.classes, blocks=BLOCKS[kind])
    torch.manual_seed(0)
    student = trained_student(build(architecture).state_dict(), architecture, data)
    sample = data.validation.images[:1]
    code = float_code(lower(student), sample, "a student")
    answer = int(student.predict(sample)[0])
    library = tmp_path / "library"
    for name, text in arduino_library(code, sample[0], answer, architecture.digest).items():
        write_whole(library / name, text)
    properties = dict(line.split("=", 1) for line in (library / "library.properties").read_text().splitlines())
    needed = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert properties.keys() >= needed
    assert (library / "src" / properties["includes"]).is_file()
    assert f"{architecture.digest}" in properties["name"]

    (tmp_path / "Arduino.h").write_text(STUB)
    (tmp_path / "main.cpp").write_text(MAIN)
    places = [f"-I{tmp_path}", f"-I{library / 'src'}", f"-I{library / 'examples' / 'Answer'}"]
    strict = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", "-c", library / "src" / "student.c", "-o", tmp_path / "c.o"], check=True)
    program = tmp_path / "answer"
    sources: list[str | Path] = ["-std=c++11", tmp_path / "main.cpp", tmp_path / "c.o", "-o", program, "-lm"]
    subprocess.run(["g++", *strict, *places, *sources], check=True)
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert said == f"answer {answer}, known answer {answer}, 0 microseconds\n"
