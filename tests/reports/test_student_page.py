"""A student's page computes what the reference does, in a real browser, and is drawn upon."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from deployed import draws, quantised, random_samples

from kd.data.dataset import DataSet
from kd.deploy.calibration import calibrate
from kd.deploy.integers import IntegerProgram
from kd.deploy.lower import lower
from kd.deploy.quantize import quantize
from kd.deploy.reference import answer
from kd.students.file import TrainedStudent, trained_student
from reports.facts.integer_json import array_json, integer_json
from reports.facts.student_facts import StudentFacts
from reports.render import TEMPLATES
from reports.student_page import student_page
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.liquid import LiquidScan
from space.network import build

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
BROWSER = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom"),
    "--virtual-time-budget=20000",
)
IMAGES: tuple[AnyBlock, ...] = (Convolution(width=4, stride=2), ResidualConvolution(repeats=2), GlobalAverage())
SEQUENCES: tuple[AnyBlock, ...] = (LiquidScan(cell="cfc", hidden=4),)
STROKE = """
const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
const touch = (name, x, y) => canvas.dispatchEvent(new PointerEvent(name, {
  clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerId: 1 }));
touch("pointerdown", 0.2, 0.1);
for (let y = 0.1; y < 0.41; y += 0.02) touch("pointermove", 0.2, y);
touch("pointerup", 0.2, 0.4);
document.body.dataset.drawn = JSON.stringify(shown);
document.body.dataset.answered = document.getElementById("answer").textContent;
document.getElementById("clear").click();
document.body.dataset.cleared = document.getElementById("answer").textContent;
"""
RECORD = """
var shown; const compute = Integers.answer;
Integers.answer = (program, sample) => { shown = Array.from(sample); return compute(program, sample); };
"""


def dom(text: str, folder: Path) -> str:
    """What a browser makes of a page that lies on disk."""
    page = folder / "page.html"
    page.write_text(text)
    command = [*BROWSER, f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def said(name: str, page: str) -> str:
    found = re.search(rf' data-{name}="([^"]*)"', page)
    return html.unescape(found[1]) if found else ""


def integers(student: TrainedStudent, samples: torch.Tensor) -> IntegerProgram:
    program = lower(student)
    return quantize(program, calibrate(program, samples))


def facts(data: DataSet, blocks: tuple[AnyBlock, ...]) -> StudentFacts:
    architecture = Architecture(family="hybrid", shape=data.shape, classes=data.classes, blocks=blocks)
    torch.manual_seed(0)
    student = trained_student(build(architecture).state_dict(), architecture, data)
    return StudentFacts(
        student=student,
        program=integers(student, data.train.images[:512]),
        results=None,
        config=None,
        data=data,
        samples=data.validation.images[:16],
    )


def test_integers_equal_the_reference_for_draws_of_every_family_and_input(tmp_path: Path) -> None:
    cases = []
    for architecture in draws(range(1, 2)):
        samples = random_samples(architecture.shape, 4)
        program = quantised(architecture, samples)
        answers, logits = answer(program, samples)
        cases.append(
            {
                "name": f"{architecture.family} {architecture.shape} {architecture.digest}",
                "program": integer_json(program),
                "samples": [array_json(sample) for sample in samples],
                "expected": [
                    {"answer": int(a), "logits": row.tolist()} for a, row in zip(answers, logits, strict=True)
                ],
            }
        )
    assert len(cases) > 30
    script = """
    const sampleOf = ({type, base64}) => type === "uint8"
      ? Integers.bytes(base64) : new Float32Array(Integers.bytes(base64).buffer);
    const wrong = cases.filter(({ program, samples, expected }) => {
      const decoded = Integers.decoded(program);
      const found = samples.map((sample) => Integers.answer(decoded, sampleOf(sample)));
      return JSON.stringify(found) !== JSON.stringify(expected);
    });
    document.body.dataset.wrong = JSON.stringify(wrong.map((one) => one.name));
    """
    integers = (TEMPLATES / "integers.js").read_text()
    page = dom(f"<body><script>{integers}const cases = {json.dumps(cases)};{script}</script>", tmp_path)
    assert said("wrong", page) == "[]"


def test_a_drawing_is_centred_and_answered(tmp_path: Path, small_data: DataSet) -> None:
    text = student_page(facts(small_data, IMAGES))
    recorded = text.replace(
        '<script>"use strict";\n(() => {', f'<script>{RECORD}</script><script>"use strict";\n(() => {{'
    )
    assert recorded != text
    page = dom(recorded.replace("</body>", f"<script>{STROKE}</script></body>"), tmp_path)
    assert said("selftest", page) == "16 of 16"
    drawn = np.array(json.loads(said("drawn", page)), dtype=float).reshape(28, 28)
    rows, columns = np.nonzero(drawn > 40)
    assert 18 <= np.ptp(rows) + 1 <= 21
    assert np.ptp(columns) + 1 < 8
    middles = [float((drawn.sum(axis) * (np.arange(28) + 0.5)).sum() / drawn.sum()) for axis in (0, 1)]
    assert np.allclose(middles, 14, atol=0.6)
    sample = torch.from_numpy(drawn.astype(np.uint8))[None, None]
    expected, _ = answer(facts(small_data, IMAGES).program, sample)
    assert said("answered", page) == str(int(expected[0]))
    assert said("cleared", page) == "–"


def test_a_sequence_is_answered_from_its_numbers(tmp_path: Path, sequences: DataSet) -> None:
    given = facts(sequences, SEQUENCES)
    script = """
    const field = document.getElementById("numbers"), answer = () => document.getElementById("answer").textContent;
    document.body.dataset.first = answer();
    field.value = "1 2 3";
    field.dispatchEvent(new Event("input"));
    document.body.dataset.few = document.getElementById("took").textContent;
    """
    page = dom(student_page(given).replace("</body>", f"<script>{script}</script></body>"), tmp_path)
    expected, _ = answer(given.program, given.samples[:1])
    assert said("selftest", page) == "16 of 16"
    assert said("first", page) == str(int(expected[0]))
    assert said("few", page) == f"3 numbers, {sequences.shape[0] * sequences.shape[1]} are needed"


def test_a_page_that_computes_something_else_says_so(tmp_path: Path, small_data: DataSet) -> None:
    text = student_page(facts(small_data, IMAGES)).replace("2 ** (shift - 1)", "0")
    page = dom(text, tmp_path)
    assert said("selftest", page) not in ("", "16 of 16")
    assert "This page is wrong" in page


def test_it_needs_no_network_and_names_cannot_break_it(tmp_path: Path, small_data: DataSet) -> None:
    given = facts(replace(small_data, names=("</script><b>0", *map(str, range(1, 10)))), IMAGES)
    text = student_page(given)
    assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org)", text)
    assert said("selftest", dom(text, tmp_path)) == "16 of 16"
