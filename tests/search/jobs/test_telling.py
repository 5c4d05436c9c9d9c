"""What a retrained student's folder tells of it: whole, consistent, written anew when more is known."""

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measured import MEASURED

from kd.data.dataset import DataSet
from kd.deploy.export import calibrated
from kd.deploy.int8_file import save_int8
from kd.deploy.lower import lower
from kd.deploy.onnx import export_onnx
from kd.deploy.places import ONNX, int8_path
from kd.environment import current
from kd.files import checksum
from kd.measure.measurement import keep, known
from kd.students.file import load_student, save_student
from kd.students.results import SeedResult, StudentResults
from search.jobs.telling import ARDUINO, CARD, PAGE, tell_student, verify_told
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.network import build
from studies.configuration.config import Config, Space


@pytest.fixture
def folder(tmp_path: Path, small_data: DataSet) -> Path:
    """A retrained student's folder, two seeds, of which the second is exported."""
    blocks = (Convolution(width=4, stride=2), GlobalAverage())
    student = Architecture(family="cnn", shape=small_data.shape, classes=small_data.classes, blocks=blocks)
    place = tmp_path / student.digest
    for seed in (0, 1):
        torch.manual_seed(seed)
        weights = place / f"seed-{seed}.safetensors"
        save_student(weights, build(student).state_dict(), student, small_data)
        made = calibrated(lower(load_student(weights)), small_data.train.images)
        save_int8(int8_path(weights), *made, student, None)
    results = StudentResults(
        architecture=student.to_dict(),
        digest=student.digest,
        family=student.family,
        cost=asdict(student.cost()),
        seeds=(
            SeedResult(seed=0, validation=0.8, test=0.81, seconds=1.0, int8_test=0.8),
            SeedResult(seed=1, validation=0.9, test=0.91, seconds=3.0, int8_test=0.91),
        ),
        test_mean=0.86,
        test_deviation=0.07,
        environment=current("cpu"),
    )
    (place / "results.json").write_text(results.to_json())
    return place


def test_page_card_and_library_are_written(folder: Path, small_data: DataSet) -> None:
    written = tell_student(folder, small_data, Config())
    assert {PAGE, CARD, f"{ARDUINO}/src/student.c"} <= set(written)
    assert all((folder / name).is_file() for name in written)
    card, page = (folder / CARD).read_text(), (folder / PAGE).read_text()
    for text in (card, page):
        assert "86.00 ± 7.07 % (n = 2)" in text  # float
        assert "85.50 ± 7.78 % (n = 2)" in text  # int8
    assert 'load_student("seed-1.safetensors")' in card
    assert "2, 2 s each on average" in card
    rows = [line for line in card.splitlines() if line.startswith("| **")]
    counts = torch.tensor([[int(cell) for cell in row.split("|")[2:-2]] for row in rows])
    student = load_student(folder / "seed-1.safetensors")
    assert torch.equal(counts.sum(1), small_data.test.labels.bincount(minlength=10))
    assert int(counts.diagonal().sum()) == round(student.accuracy(small_data.test) * len(small_data.test.labels))


def test_the_cards_python_runs_as_it_stands(folder: Path, small_data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    tell_student(folder, small_data, Config())
    export_onnx(folder / "seed-1.safetensors", folder / ONNX, small_data.test.images[:4])
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {"images": small_data.test.images[:20].numpy() / np.float32(255)}
    snippets = re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL)
    for snippet in snippets:
        exec(snippet, found)
    assert len(snippets) == 2
    assert found["classes"].tolist() == found["logits"].argmax(1).tolist()


def test_what_is_told_is_verified(folder: Path, small_data: DataSet) -> None:
    def failed() -> list[str]:
        return [check.name for check in verify_told(folder, small_data, Config()) if not check.ok]

    assert failed() == [PAGE, CARD, ARDUINO]
    tell_student(folder, small_data, Config())
    assert failed() == []
    card, page, code = folder / CARD, folder / PAGE, folder / ARDUINO / "src" / "student.c"
    card.write_text(card.read_text().replace("86.00 ±", "87.00 ±"))
    assert failed() == [CARD]
    page.write_text(page.read_text().replace('"answer":', '"answer":1', 1))
    code.write_text(code.read_text().replace("127", "126", 1))
    assert failed() == [PAGE, CARD, ARDUINO]


def test_what_is_measured_and_the_board_are_told(folder: Path, small_data: DataSet) -> None:
    path = folder / "seed-1.safetensors"
    keep(path, known(path, folder.name, checksum(path)).having(MEASURED))
    tell_student(folder, small_data, replace(Config(), space=Space(board="microbit-v2")))
    card, page = (folder / CARD).read_text(), (folder / PAGE).read_text()
    for text in (card, page):
        assert "2,345" in text and "1,334" in text and "123,456" in text
        assert "microbit-v2: fits, 2,345 bytes of flash and 1,334 of RAM in int8, measured on such a core" in text
        assert "about 2.89 ms a sample" in text


def test_an_unmeasured_student_is_judged_by_estimate(folder: Path, small_data: DataSet) -> None:
    tell_student(folder, small_data, replace(Config(), space=Space(board="microbit-v1")))
    assert "| BBC micro:bit v1 | microbit-v1: fits, " in (folder / CARD).read_text()


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_text("{")], ids=["gone", "cut"])
def test_without_results_nothing_is_told(change: Callable[[Path], object], folder: Path, small_data: DataSet) -> None:
    change(folder / "results.json")
    with pytest.raises(ValueError, match=r"results\.json|no results"):
        tell_student(folder, small_data, Config())
