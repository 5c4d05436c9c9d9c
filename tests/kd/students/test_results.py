from dataclasses import asdict, replace
from pathlib import Path

import pytest

from kd.environment import current
from kd.students.results import SeedResult, StudentResults
from space.errors import InputError
from studies.shipped import find

ARCHITECTURE = find("tied-cnn")
RESULTS = StudentResults(
    architecture=ARCHITECTURE.to_dict(),
    digest=ARCHITECTURE.digest,
    family=ARCHITECTURE.family,
    cost=asdict(ARCHITECTURE.cost()),
    seeds=(
        SeedResult(seed=0, validation=0.99, test=0.98, seconds=3.5),
        SeedResult(seed=1, validation=None, test=0.97, seconds=4.0),
    ),
    test_mean=0.975,
    test_deviation=0.007,
    environment=current("cpu"),
)


def test_results_are_read_back_and_tell_the_same_wherever_they_were_measured(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(RESULTS.to_json())
    again = StudentResults.from_json(path)
    assert again.to_json() == RESULTS.to_json()
    assert again.same_figures(RESULTS)
    elsewhere = replace(RESULTS, environment=replace(RESULTS.environment, torch="0.0", threads=8))
    assert again.same_figures(elsewhere)
    assert not again.same_figures(replace(RESULTS, test_mean=0.97))


def test_the_environment_says_what_figures_were_measured_with() -> None:
    environment = current("cpu", threads=3)
    assert (environment.device, environment.threads) == ("cpu", 3)
    assert environment.wunderkind[0].isdigit()
    assert environment.python.startswith("3.")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "it names no format"),
        ('{"format": 2}', "is of format 2, not 1"),
        ('{"format": 1}', "architecture: "),
        (RESULTS.to_json().replace("0.98", "98"), r"seeds\.0\.test: must be at most 1"),
    ],
)
def test_damaged_results_are_refused_in_one_line(content: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=reason) as caught:
        StudentResults.from_json(path)
    assert "\n" not in str(caught.value)
