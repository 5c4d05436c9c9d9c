from pathlib import Path

import pytest

from space.architecture import Architecture
from space.blocks.mlp import Dense
from space.budget import Budget
from space.errors import InputError
from studies.shipped import find, names

PARAMETERS = {
    "bilinear-hybrid-1k": 942,
    "bilinear-hybrid-2k": 1_914,
    "bilinear-hybrid-4k": 3_849,
    "flat-cnn": 9_889,
    "flat-cnn-1k": 845,
    "liquid-cnn": 9_754,
    "row-column": 8_642,
    "row-column-stem": 9_994,
    "stem-cnn-10k": 9_882,
    "stem-cnn-4k": 3_975,
    "stem-hybrid-1k": 972,
    "stem-hybrid-500": 487,
    "tied-cnn": 9_682,
    "tied-cnn-4k": 3_832,
    "tied-depthwise": 7_754,
    "tied-depthwise-10k": 9_821,
    "tied-depthwise-1k": 980,
    "tied-depthwise-2k": 1_978,
    "tied-depthwise-4k": 3_818,
    "tied-hybrid": 8_554,
    "wide-cnn": 46_118,
    "wide-stem-cnn": 7_579,
}


def test_shipped_architectures_are_named() -> None:
    assert names() == sorted(PARAMETERS)


@pytest.mark.parametrize("name", names())
def test_a_shipped_architecture_fits_mnist_and_is_within_the_budget_unless_for_assistants(name: str) -> None:
    architecture = find(name)
    assert architecture.cost().parameters == PARAMETERS[name]
    assert (Budget().rejection_reason(architecture) is None) != (name == "wide-cnn")
    assert (architecture.shape, architecture.classes) == ((1, 28, 28), 10)


def test_an_architecture_is_found_by_its_file(tmp_path: Path) -> None:
    architecture = Architecture(family="mlp", shape=(1, 4, 4), classes=3, blocks=(Dense(width=5),))
    path = tmp_path / "mine.json"
    path.write_text(architecture.to_json())
    assert find(str(path)) == architecture


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "tied-cmn",
            "unknown architecture 'tied-cmn': did you mean tied-cnn, .* use one of bilinear-hybrid-1k, .*wide-cnn",
        ),
        ("none.json", "no architecture file at none.json"),
    ],
)
def test_what_is_not_there_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        find(text)
