import random

import numpy as np
import pytest
from scipy.stats import spearmanr

from search.samplers.predictor import FEWEST, Array, Observation, Predictor, learn_prior, matrix
from space.architecture import Architecture
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial
from studies.warm_start import TrainedRung, TrainedStudy

LAST = 9.0
SHAPE = (1, 28, 28)


def students(count: int, seed: int = 0) -> list[Architecture]:
    generator = random.Random(seed)
    return [suggest(RandomTrial(generator), Domain(), SHAPE, 10) for _ in range(count)]


def merit(student: Architecture, epochs: float) -> float:
    """Larger ones are better, and so are longer trainings; mlps are three times as bad, liquid ones as good."""
    factor = 3.0 if student.family == "mlp" else 1.0
    return float(1 - factor * 2 / student.cost().parameters ** 0.5 / epochs**0.5)


def observations(found: list[Architecture], lengths: tuple[float, ...]) -> list[Observation]:
    return [
        Observation(features=row, epochs=epochs, merit=merit(student, epochs))
        for student, row in zip(found, matrix(found), strict=True)
        for epochs in lengths
    ]


def truth(found: list[Architecture]) -> Array:
    return np.log10([1 - merit(student, LAST) for student in found])


def test_it_learns_from_short_rungs_what_a_long_training_gives() -> None:
    known, new = students(60), students(60, seed=1)
    learnt = observations(known[:40], (1, 3)) + observations(known[40:], (1, 3, LAST))
    mean, deviation = Predictor(None, LAST, learnt).predict(matrix(new))
    assert spearmanr(mean, truth(new))[0] > 0.9
    assert np.abs(mean - truth(new)).mean() < 0.12
    assert (deviation >= 0).all()


def test_with_few_observations_it_is_the_prior_or_the_size() -> None:
    new = students(30)
    few = observations(students(FEWEST - 1, seed=2), (1,))
    x = matrix(new)
    assert Predictor(None, LAST, few).predict(x)[0].argmin() == np.argmax([s.cost().parameters for s in new])
    study = TrainedStudy(
        name="other",
        epochs=LAST,
        rungs=tuple(TrainedRung(architecture=s, epochs=LAST, merit=merit(s, LAST)) for s in students(80, seed=3)),
    )
    prior = learn_prior(SHAPE, (), [study])
    assert prior is not None
    assert spearmanr(Predictor(prior, LAST, few).predict(x)[0], truth(new))[0] > 0.9


def test_a_wrong_prior_is_recovered_from() -> None:
    known, new = students(80), students(60, seed=1)
    wrong = TrainedStudy(
        name="wrong",
        epochs=LAST,
        rungs=tuple(TrainedRung(architecture=s, epochs=LAST, merit=1 - merit(s, LAST)) for s in students(80, seed=3)),
    )
    prior = learn_prior(SHAPE, (), [wrong])
    ranks = [
        spearmanr(Predictor(prior, LAST, observations(known[:count], (1, LAST))).predict(matrix(new))[0], truth(new))[0]
        for count in (1, 80)
    ]
    assert ranks[0] < -0.5
    assert ranks[1] > 0.9


def test_without_tables_and_studies_there_is_no_prior() -> None:
    assert learn_prior(SHAPE, ()) is None
    assert learn_prior(SHAPE, (), [TrainedStudy(name="short", epochs=LAST, rungs=())]) is None


def test_a_shipped_table_ranks_students_of_other_data() -> None:
    prior = learn_prior(SHAPE, ("mnist-1d",))
    assert prior is not None
    new = students(40)
    assert spearmanr(prior(matrix(new)), [-s.cost().parameters for s in new])[0] > 0.3


def test_of_what_a_prior_could_learn_from_the_same_kind_of_input_counts_if_there_is_any() -> None:
    x = matrix(students(10))
    images, sequences = (learn_prior(SHAPE, (name,)) for name in ("mnist", "mnist-1d"))
    both, on_sequences = learn_prior(SHAPE, ("mnist", "mnist-1d")), learn_prior((40, 1), ("mnist", "mnist-1d"))
    assert images and sequences and both and on_sequences
    assert (both(x) == images(x)).all()
    assert (on_sequences(x) == sequences(x)).all()


@pytest.mark.parametrize("count", [1, 50])
def test_the_same_observations_give_the_same_predictions(count: int) -> None:
    known, x = observations(students(20), (1, LAST)), matrix(students(count, seed=1))
    first, second = (Predictor(None, LAST, known).predict(x)[0] for _ in range(2))
    assert (first == second).all()
