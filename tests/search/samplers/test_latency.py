"""Estimates of latencies that were not measured."""

import random

import numpy as np
from scipy.stats import spearmanr

from search.samplers.latency import estimated_latencies
from search.samplers.predictor import Array, matrix
from space.architecture import FAMILIES, Architecture
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial

STUDENTS = [
    suggest(RandomTrial(random.Random(seed), {"family": FAMILIES[seed % 5]}), Domain(), (1, 28, 28), 10)
    for seed in range(120)
]


def latency(index: int) -> float:
    """Every layer takes a while, every multiply-accumulate a little."""
    cost = STUDENTS[index].cost()
    return 0.01 * len(STUDENTS[index].blocks) + 2e-7 * cost.macs


def estimated(count: int, asked: list[Architecture]) -> Array:
    """Of some students, when the first `count` are measured."""
    measured = [latency(index) for index in range(count)]
    return estimated_latencies(
        matrix(STUDENTS[:count]), measured, matrix(asked), [student.cost().macs for student in asked]
    )


def test_estimates_order_students_as_measurements_do() -> None:
    asked = range(60, 120)
    truth = np.array([latency(index) for index in asked])
    found = estimated(60, [STUDENTS[index] for index in asked])
    assert float(spearmanr(truth, found).statistic) > 0.8
    assert np.median(np.abs(np.log(found / truth))) < 0.3


def test_before_enough_are_measured_multiply_accumulates_order_them() -> None:
    found = estimated(3, STUDENTS[:20])
    macs = [student.cost().macs for student in STUDENTS[:20]]
    assert (np.argsort(found) == np.argsort(macs)).all()
