"""The examples in docstrings give what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name", ["kd.data.augmentation", "kd.data.dataset", "kd.distil.distil", "kd.optim.recipe", "kd.teachers.source"]
)
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0
