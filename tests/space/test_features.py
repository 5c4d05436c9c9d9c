import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.architecture import FAMILIES, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool
from space.features import features
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial

SHAPES = ((1, 28, 28), (3, 32, 32), (40, 1), (128, 9), (1, 1, 1), (1, 8, 3))
EXAMPLE = Architecture(
    family="cnn",
    shape=(1, 28, 28),
    classes=10,
    blocks=(Convolution(width=8, kernel=5, stride=2), Pool(), Convolution(width=16, kernel=3), GlobalAverage()),
)


@given(st.integers(0, 10_000), st.sampled_from(SHAPES))
def test_all_architectures_have_the_same_features_all_finite(seed: int, shape: tuple[int, ...]) -> None:
    found = features(suggest(RandomTrial(random.Random(seed)), Domain(), shape, 10))
    assert list(found) == list(features(EXAMPLE))
    assert all(math.isfinite(value) for value in found.values())


def test_the_features_of_an_example() -> None:
    found, cost = features(EXAMPLE), EXAMPLE.cost()
    assert found["parameters"] == math.log2(cost.parameters)
    assert found["convolution blocks"] == 2
    assert found["first kernel"] == 5
    assert found["stem positions"] == -2  # a quarter of the input's
    assert found["widest"] == 4
    assert found["receptive field"] == pytest.approx(math.log2((1 + 4 + 2 + 2 * 4) / 28))


@pytest.mark.parametrize("family", FAMILIES)
def test_students_of_a_family_differ_in_their_features(family: Family) -> None:
    drawn = [
        suggest(RandomTrial(random.Random(seed), {"family": family}), Domain(), (1, 28, 28), 10) for seed in range(30)
    ]
    different = {student.digest for student in drawn}
    assert len({tuple(features(student).values()) for student in drawn}) >= len(different) - 1
