import subprocess
import sys

import pytest

from kd.data.dataset import DataSource


def data(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search", "data", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_data_set_is_described(small_source: DataSource) -> None:
    result = data(small_source.name, "--validation", "200")
    assert result.returncode == 0, result.stderr
    assert "1,000 training, 200 validation, 300 test" in result.stdout
    assert result.stdout.count("%") == 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnits"], "unknown data set 'mnits': use one of mnist, fashion-mnist, kmnist"),
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
