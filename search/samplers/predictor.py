"""Predicts a student's error from its architecture: forests that learn from other data sets' tables and this study."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge

from search.pareto.pruner import log_error
from space.architecture import Architecture
from space.features import features
from studies.tables import load_table, trained_once
from studies.warm_start import TrainedStudy

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

Prior = Callable[[Array], Array]
"""What is known of architectures from elsewhere: features (rows, features) to predicted errors (rows,) of no unit."""

SIZES = 3
"""Features of the straight line: the first ones, which are logarithms of parameters, MACs and memory."""

FEWEST = 4
"""Observations that a predictor needs of a study itself."""

SHRUNK = 0.1
"""Factor of the sizes in the straight line: penalised a hundredfold, they mean little until many observations agree."""

CREDIT = 20
"""Observations with which the forest counts half: it fits the noise of fewer."""


def matrix(architectures: Sequence[Architecture]) -> Array:
    """Features, float64 (architectures, features)."""
    return np.array([list(features(architecture).values()) for architecture in architectures])


def end_errors(table: "pd.DataFrame") -> Array:
    """Decimal logarithms of the errors at the ends of a table's curves, float64 (students,)."""
    return np.array([log_error(curve[-1]) for curve in table["validation_accuracy"]])


def forest(seed: int) -> ExtraTreesRegressor:
    """Extremely randomised trees (Geurts et al. 2006), which fit a few hundred rows in a tenth of a second."""
    return ExtraTreesRegressor(100, min_samples_leaf=2, max_features=0.5, random_state=seed)


def by_tree(fitted: ExtraTreesRegressor, rows: Array) -> Array:
    """Predictions of every tree of a forest, float64 (trees, rows): without checks of each, in a fifth of the time."""
    checked = rows.astype(np.float32)
    return np.stack([tree.predict(checked, check_input=False) for tree in fitted.estimators_])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """What a rung found: a student's features, float64 (features,), the epochs, the merit (share) after them."""

    features: Array
    epochs: float
    merit: float


class Predictor:
    """Decimal logarithm of the error at the last rung, from all rungs of a study and, if there is one, a prior.

    A straight line in the prior, the sizes and the logarithm of the epochs, which few observations suffice for, and a
    forest for what that misses, which counts for more as they grow in number. Until then the prior decides: a good one
    ranks students better than a dozen others' first epochs do.
    """

    def __init__(self, prior: Prior | None, epochs: float, observations: Sequence[Observation], seed: int = 0) -> None:
        """Predict what will be after `epochs`, from all of a study's observations."""
        self._prior, self._epochs = prior, epochs
        self._line: Ridge | None = None
        if len(observations) < FEWEST:
            return
        x = np.stack([observation.features for observation in observations])
        lengths = np.log2([observation.epochs for observation in observations])
        y = np.array([log_error(observation.merit) for observation in observations])
        trend, rows = self._columns(x, lengths)
        self._line = Ridge(alpha=1.0).fit(trend, y)
        self._forest = forest(seed).fit(rows, y - self._line.predict(trend))
        self._credit = len(x) / (len(x) + CREDIT)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and deviation of the logarithm of the error, each float64 (rows,), of rows of features.

        With fewer than `FEWEST` observations only the order means something: the prior's, else the larger the better.
        """
        if self._line is None:
            return self._prior(x) if self._prior else -x[:, 0], np.zeros(len(x))
        trend, rows = self._columns(x, np.full(len(x), math.log2(self._epochs)))
        trees = self._credit * by_tree(self._forest, rows)
        return self._line.predict(trend) + trees.mean(axis=0), trees.std(axis=0)

    def _columns(self, x: Array, lengths: Array) -> tuple[Array, Array]:
        """What the line is given, and the forest."""
        extra = np.column_stack([lengths, self._prior(x)] if self._prior else [lengths])
        return np.column_stack([extra, SHRUNK * x[:, :SIZES]]), np.column_stack([extra, x])


def learn_prior(
    shape: tuple[int, ...], tables: Sequence[str], studies: Sequence[TrainedStudy] = (), seed: int = 0
) -> Prior | None:
    """A prior from shipped tables, by name, and from other studies, each counting as much; None without any.

    It predicts the logarithm of the error in deviations from the mean of its table or study. Where some of those are of
    the kind of input that `shape` is, images or sequences, the others do not count: they rank worse, and would dilute
    it. A study with fewer than `FEWEST` rungs has nothing to say.
    """
    known = [trained_once(load_table(name)) for name in tables]
    long = [study for study in studies if len(study.rungs) >= FEWEST]
    alike = (
        [table for table in known if len(table["architecture"].iloc[0].shape) == len(shape)],
        [study for study in long if len(study.rungs[0].architecture.shape) == len(shape)],
    )
    if any(alike):
        known, long = alike
    predictors = [*(_of_table(table, seed) for table in known), *(_of_study(study, seed) for study in long)]
    if not predictors:
        return None
    return lambda x: np.mean([predict(x) for predict in predictors], axis=0)


def _of_table(table: "pd.DataFrame", seed: int) -> Prior:
    ends = end_errors(table)
    fitted = forest(seed).fit(matrix(list(table["architecture"])), (ends - ends.mean()) / ends.std())
    return lambda rows: by_tree(fitted, rows).mean(axis=0)


def _of_study(study: TrainedStudy, seed: int) -> Prior:
    x = matrix([rung.architecture for rung in study.rungs])
    observations = [
        Observation(features=row, epochs=rung.epochs, merit=rung.merit)
        for row, rung in zip(x, study.rungs, strict=True)
    ]
    predictor = Predictor(None, study.epochs, observations, seed)
    known, _ = predictor.predict(x)
    return lambda rows: (predictor.predict(rows)[0] - known.mean()) / max(float(known.std()), 1e-9)
