import random

from space.sampling.random_trial import RandomTrial


def test_a_parameter_that_is_suggested_again_keeps_its_value() -> None:
    trial = RandomTrial(random.Random(0), {"a": 3})
    assert trial.suggest_int("a", 0, 9) == 3
    assert [trial.suggest_float("b", 0, 1)] * 3 == [trial.suggest_float("b", 0, 1) for _ in range(3)]
    assert trial.suggest_categorical("c", "xyz") == trial.params["c"]
    assert all(1 <= RandomTrial(random.Random(seed)).suggest_float("d", 1, 100, log=True) <= 100 for seed in range(50))
