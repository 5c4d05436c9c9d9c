import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kd.data.dataset import DataSource


def data(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search", "data", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_data_set_is_described(small_source: DataSource) -> None:
    result = data(small_source.name, "--validation", "200")
    assert result.returncode == 0, result.stderr
    assert "1,000 training, 200 validation, 300 test" in result.stdout
    assert result.stdout.count("%") == 10 + 3 + 1  # classes, the largest one of each split, a standard error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnits"], "unknown data set 'mnits': did you mean mnist, kmnist or mnist-1d? use one of mnist, mnist-1d"),
        (["none.npz"], "no data file at none.npz"),
        (["tests"], "holds no images"),
        (["mnist", "--validation", "60000"], "data.validation = 60000 (--validation) would hold out 60,000 of 60,000"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: str) -> None:
    result = data(*arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_picture_is_drawn_and_guesses_are_told(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.array(["ant"] * 40 + ["[bold]bee[/x]"] * 5)
    np.savez(tmp_path / "mine.npz", x=generator.random((45, 8, 8)), y=labels)
    result = data(str(tmp_path / "mine.npz"), "--picture", str(tmp_path / "sheet.png"))
    assert result.returncode == 0, result.stderr
    told = " ".join(result.stdout.split())
    for words in (
        "is taken for sequences",
        "x is taken for x_train",
        "the classes are uneven: 89.7 % of the training samples are of class ant",
        "[bold]bee[/x]",
        "majority 89.66 % of training",
        "no test split: 9 of 45 samples are held out",
    ):
        assert words in told
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    refused = data(str(tmp_path / "mine.npz"), "--picture", str(tmp_path / "sheet.csv"))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "is no format of pictures" in refused.stderr
