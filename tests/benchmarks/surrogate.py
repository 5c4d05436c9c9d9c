"""What a student would have reached, learnt from a table: python tests/benchmarks/surrogate.py

As in NAS-Bench-301 (Zela et al. 2022) a search is replayed on predictions with noise of their own: the mean of a forest
and of a Gaussian kernel over features of the architecture, plus what the forest and the kernel miss, drawn from their
own errors on students held out. One part of that belongs to the architecture, the other to a seed of it.

Printed is, for every table, how well held-out students are predicted: rank correlation (Spearman's), and the standard
deviation of the error in the decimal logarithm, at the first rung and at the end. Then, how well a prior learnt from
one table ranks the students of another, beside how well the first epochs of their own training do: rank correlation
with the error at the end, all relative to size, that is less a parabola in the logarithm of the parameters, since the
sampler chooses among students of one size. Last, how well a study's predictor ranks students that it has not trained,
with and without the shrinking of what it learns from those that it has.
"""

import random

import numpy as np
import pandas as pd
from grid import markdown
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kd.distil.train import RungResult, RungTask
from kd.students.curve import Epoch
from search.pareto.pruner import log_error
from search.samplers import predictor
from search.samplers.predictor import Array, Observation, Predictor, Prior, learn_prior, matrix
from space.architecture import Architecture
from studies.tables import load_table, table_names, trained_once

FOLDS = 10
ALIKE = 24
"""Students whose errors a new one may get: those of the most similar prediction."""
SEED_SHARE = 0.3
"""Share of the variance of errors that belongs to the seed, where a table has no second seed."""


class Regressor:
    """The mean of a forest and of a Gaussian kernel."""

    def __init__(self) -> None:
        """Unfitted."""
        self._forest = ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.5, random_state=0)
        self._kernel = make_pipeline(StandardScaler(), KernelRidge(kernel="rbf", gamma=0.004, alpha=0.03))
        self._mean: Array = np.zeros(1)

    def fit(self, x: Array, y: Array) -> "Regressor":
        """Learn from rows of features and of targets."""
        self._mean = y.mean(axis=0)
        self._forest.fit(x, y)
        self._kernel.fit(x, y - self._mean)
        return self

    def predict(self, x: Array) -> Array:
        """Targets, a row a row of features."""
        kernel: Array = self._kernel.predict(x) + self._mean
        mean: Array = (self._forest.predict(x) + kernel) / 2
        return mean


class Surrogate:
    """Predicts whole learning curves of any architecture, with the noise of a real training."""

    def __init__(self, name: str, samples: int) -> None:
        """Learn from the table `name`, whose students were validated on that many `samples`."""
        table = load_table(name)
        first = trained_once(table)
        self.name, self.samples = name, samples
        self.epochs: Array = np.asarray(first["epoch"].iloc[0])
        self.architectures: list[Architecture] = list(first["architecture"])
        self._x, self._y = matrix(self.architectures), self._targets(first)
        self.held_out = held_out(self._x, self._y)
        self._errors = self._y - self.held_out
        self._order = np.argsort(self.held_out[:, self._last])
        self._seed_share = self._measured_seed_share(table)
        self._regressor = Regressor().fit(self._x, self._y)
        self._known: dict[str, Array] = {}

    @property
    def _last(self) -> int:
        return len(self.epochs) - 1

    def _targets(self, table: pd.DataFrame) -> Array:
        error = 1 - np.stack(table["validation_accuracy"].to_list())
        loss = np.stack(table["validation_loss"].to_list())
        targets: Array = np.log10(np.concatenate([np.maximum(error, 0.5 / self.samples), loss], axis=1))
        return targets

    def _measured_seed_share(self, table: pd.DataFrame) -> float:
        """Variance between seeds over variance of the errors of prediction, at the end."""
        several = table[table["failure"].isna()].groupby("index").filter(lambda group: len(group) > 1)
        if several.empty:
            return SEED_SHARE
        ends = pd.Series(self._targets(several)[:, self._last], index=several["index"])
        between = ends.groupby(level=0).var().mean()
        return float(min(0.9, between / self._errors[:, self._last].var()))

    def curve(self, architecture: Architecture, seed: int | None) -> Array:
        """Logarithms of error and of loss along the curve; without a seed, the mean over all seeds."""
        own = self._mean(architecture)
        if seed is None:
            return own
        drawn: Array = own + self._seed_share**0.5 * self._drawn(own, f"{architecture.digest} {seed}")
        return drawn

    def _mean(self, architecture: Architecture) -> Array:
        if architecture.digest not in self._known:
            predicted = self._regressor.predict(matrix([architecture]))[0]
            own = (1 - self._seed_share) ** 0.5 * self._drawn(predicted, architecture.digest)
            self._known[architecture.digest] = predicted + own
        return self._known[architecture.digest]

    def _drawn(self, predicted: Array, seed: str) -> Array:
        """The errors of one of the students that were predicted to be about as good."""
        ordered = self.held_out[self._order, self._last]
        middle = int(np.searchsorted(ordered, predicted[self._last]))
        low = min(max(0, middle - ALIKE // 2), max(0, len(ordered) - ALIKE))
        chosen = random.Random(seed).randrange(low, min(low + ALIKE, len(ordered)))
        drawn: Array = self._errors[self._order[chosen]]
        return drawn

    def __call__(self, task: RungTask, checkpoint: bytes | None) -> RungResult:
        """Simulate a rung task; an epoch takes as many seconds as the student has millions of MACs."""
        values = self.curve(task.architecture, task.seed)
        count = len(self.epochs)
        errors = np.minimum(np.round(10 ** values[:count] * self.samples) / self.samples, 0.95)
        seconds = task.architecture.cost().macs / 1e6
        points = [
            Epoch(
                epoch=float(epoch),
                train_loss=float(10 ** values[count + index]),
                validation_accuracy=float(1 - errors[index]),
                validation_loss=float(10 ** values[count + index]),
                seconds=seconds,
            )
            for index, epoch in enumerate(self.epochs)
            if task.start < epoch <= task.stop
        ]
        return RungResult(curve=tuple(points), checkpoint=b"-", seconds=seconds * (task.stop - task.start))


def held_out(x: Array, y: Array) -> Array:
    """Predictions of every row by regressors that have not seen it."""
    found = np.empty_like(y)
    for kept, left in KFold(FOLDS, shuffle=True, random_state=0).split(x):
        found[left] = Regressor().fit(x[kept], y[kept]).predict(x[left])
    return found


EARLY = (0.25, 0.5, 1, 3, 5, 15)
SAMPLES = {"mnist": 5_000, "fashion-mnist": 5_000, "mnist-1d": 800}


def quality() -> str:
    """How well the students of every table are predicted by those of it that were not held out."""
    lines = [
        ["table", "students", "epochs", "rank correlation", "of the size alone", "standard deviation of the error"]
    ]
    for name in table_names():
        surrogate = Surrogate(name, SAMPLES[name])
        for place in (0, len(surrogate.epochs) - 1):
            truth, predicted = surrogate._y[:, place], surrogate.held_out[:, place]
            alone = spearmanr(-surrogate._x[:, 0], truth)[0]
            rank = spearmanr(predicted, truth)[0]
            spread = f"{np.std(truth - predicted):.3f} of {np.std(truth):.3f}"
            students = str(len(surrogate.architectures))
            lines.append([name, students, f"{surrogate.epochs[place]:g}", f"{rank:.3f}", f"{alone:.3f}", spread])
    return markdown(lines)


def ranks() -> str:
    """How well priors, and first epochs, rank students of equal size."""
    priors, rungs = [f"prior from {name}" for name in table_names()], [f"after {epoch:g} epochs" for epoch in EARLY]
    return markdown([["students of", *priors, *rungs], *map(_ranks, table_names())])


def _ranks(name: str) -> list[str]:
    """How well each table's prior, and each of the first epochs, ranks the students of a table."""
    table = trained_once(load_table(name))
    x, epochs = matrix(list(table["architecture"])), list(table["epoch"].iloc[0])
    errors = np.array([[log_error(accuracy) for accuracy in curve] for curve in table["validation_accuracy"]])
    found: list[Array | None] = []
    for other in table_names():
        prior = learn_prior(table["architecture"].iloc[0].shape, (other,))
        found.append(prior(x) if prior and other != name else None)
    found += [errors[:, epochs.index(epoch)] if epoch in epochs else None for epoch in EARLY]
    end = beyond_size(x, errors[:, -1])
    ranks = ["–" if y is None else f"{spearmanr(beyond_size(x, y), end)[0]:.2f}" for y in found]
    return [name, *ranks]


STARTED = (5, 10, 20, 35)
"""Students that a study has begun with."""
DRAWS = 8
"""Sets of them."""
REMEDIES = {"overruled": (1.0, 0), "shrunk": (predictor.SHRUNK, predictor.CREDIT)}


def observed() -> str:
    """How well a predictor ranks other students of equal size, by how many its study has trained."""
    lines = [["students of", "prior", "predictor", *(f"{count} trained" for count in STARTED)]]
    for name, others in (("fashion-mnist", ("mnist",)), ("mnist", ("fashion-mnist",)), ("mnist-1d", ("mnist",))):
        table = trained_once(load_table(name))
        x, accuracies = matrix(list(table["architecture"])), np.stack(table["validation_accuracy"].to_list())
        epochs, rungs = list(table["epoch"].iloc[0]), (5, 15) if name == "mnist-1d" else (1, 3)
        curves = accuracies[:, [epochs.index(rungs[0]), epochs.index(rungs[1]), -1]]
        prior = learn_prior(table["architecture"].iloc[0].shape, others)
        for source, known in ((others[0], prior), ("none", None)):
            for remedy, constants in REMEDIES.items():
                predictor.SHRUNK, predictor.CREDIT = constants
                ranks = [_rank_of_unseen(x, curves, rungs, known, count) for count in STARTED]
                lines.append([name, source, remedy, *(f"{rank:.2f}" for rank in ranks)])
    return markdown(lines)


def _rank_of_unseen(x: Array, curves: Array, rungs: tuple[int, int], prior: Prior | None, count: int) -> float:
    """Mean rank correlation over draws of the students that were trained, the best third of them to a second rung.

    `curves` are accuracies, float64 (students, 3): at both rungs and at the end.
    """
    end, ranks = np.array([log_error(accuracy) for accuracy in curves[:, -1]]), []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(x))
        trained, unseen = sorted(order[:count], key=lambda row: -curves[row, 0]), order[count:]
        results = [(row, 0) for row in trained] + [(row, 1) for row in trained[: max(2, count // 3)]]
        known = [Observation(features=x[row], epochs=rungs[at], merit=curves[row, at]) for row, at in results]
        guess, _ = Predictor(prior, rungs[1], known, draw).predict(x[unseen])
        ranks.append(spearmanr(beyond_size(x[unseen], guess), beyond_size(x[unseen], end[unseen]))[0])
    return float(np.mean(ranks))


def beyond_size(x: Array, y: Array) -> Array:
    """What a parabola in the logarithm of the parameters does not explain."""
    found: Array = y - np.polyval(np.polyfit(x[:, 0], y, 2), x[:, 0])
    return found


if __name__ == "__main__":
    print(quality(), ranks(), observed(), sep="\n\n")
