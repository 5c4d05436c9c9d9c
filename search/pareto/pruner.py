"""Pareto pruning: which candidates are too weak to go on to the next rung."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from search.pareto.nondominated import fronts

Rule = Literal["asha", "extrapolation", "peers", "none"]

PAIRS = 6
"""Candidates that must have finished before a rung says how the last one comes out."""

PRIOR_PAIRS = 4.0
"""Weight, in candidates, of the assumption that a logarithm of the error falls as much for all."""

LEAST_ERROR = 1e-4
"""Errors (shares) below this count as this, so that their logarithm stays finite."""


def log_error(merit: float) -> float:
    """Decimal logarithm of what a merit (share) lacks to 1."""
    return math.log10(max(1 - merit, LEAST_ERROR))


class ParetoPruner:
    """Prunes trials of several objectives, a merit (share, up) and one or more sizes (down), rung by rung.

    A trial that no other dominates at its rung is never pruned there, whatever the settings are, so the small end of
    the front lives; pruning by the merit alone deletes it. Of those that are dominated, each `rule` prunes some:

    - "asha": all but the first `1 / reduction` of their rung, ordered by non-dominated fronts and, within one, by an
      ε-net over the logarithm of the size (Schmucker et al. 2021, MO-ASHA);
    - "extrapolation": those that will not reach the front, by how sure that is. The logarithm of the error at the last
      rung is predicted, by a straight line through the trials that finished; a trial is pruned when a finished one no
      larger is better than its prediction by `certainty` deviations of that line. Before `PAIRS` have finished it is
      "peers";
    - "peers": those that at least `peers` others of about their size, at most `slack` times it, equal or beat;
    - "none".

    It knows nothing of this project, so that any ask-and-tell loop with several objectives can use it:

    >>> pruner = ParetoPruner(rungs=(1, 3, 9), rule="peers", peers=1)
    >>> pruner.report(0, 1, merit=0.95, size=1_000)
    >>> pruner.report(1, 1, merit=0.90, size=2_000)
    >>> pruner.report(2, 1, merit=0.80, size=500)
    >>> [pruner.should_prune(number, 1) for number in (0, 1, 2)]
    [False, True, False]
    """

    def __init__(
        self,
        rungs: Sequence[float],
        rule: Rule = "asha",
        *,
        peers: int = 3,
        slack: float = 1.1,
        certainty: float = 1.0,
        reduction: float = 3.0,
    ) -> None:
        """Prune at `rungs` (rising), which the last of ends a trial."""
        self._rule, self._peers, self._slack = rule, peers, slack
        self._certainty, self._reduction = certainty, reduction
        self._rungs = {float(rung): _Rung() for rung in rungs}
        self._last = self._rungs[float(rungs[-1])]

    def report(
        self, number: int, rung: float, *, merit: float, size: float | Sequence[float], loss: float = 0.0
    ) -> None:
        """Enter how trial `number` did at a rung; of equal merits the lower `loss` is better."""
        sizes = size if isinstance(size, Sequence) else (size,)
        if float(rung) in self._rungs:
            self._rungs[float(rung)].enter(number, merit, loss, sizes)

    def should_prune(self, number: int, rung: float) -> bool:
        """Whether a trial is too weak to go on from a rung that it has reported."""
        reached = self._rungs[float(rung)]
        if reached is self._last or not reached.dominators(number).any():
            return False
        match self._rule:
            case "none":
                return False
            case "asha":
                return bool(reached.place(number) >= math.ceil(len(reached) / self._reduction))
            case "extrapolation" if len(self._last) >= PAIRS:
                return self._is_hopeless(number, reached)
            case _:
                near = reached.at_least_as_good(number) & reached.no_larger(number, self._slack)
                return bool(near.sum() >= self._peers)

    def _is_hopeless(self, number: int, reached: "_Rung") -> bool:
        """Whether the predicted error at the end is worse than that of a finished trial no larger."""
        finished = self._last
        before = reached.errors_of(finished.numbers)
        after = finished.errors
        x, y = before - before.mean(), after - after.mean()
        weight = PRIOR_PAIRS * max(float(x.var()), 1e-6)
        slope = (x @ y + weight) / (x @ x + weight)
        deviation = math.sqrt(float(((y - slope * x) ** 2).sum()) / (len(x) - 1))
        predicted = after.mean() + slope * (reached.error(number) - before.mean())
        rivals = after[(finished.sizes <= reached.size(number)).all(axis=0)]
        return bool(rivals.size and rivals.min() < predicted - self._certainty * deviation)


class _Rung:
    """How trials stand at one rung, as columns, so that a comparison with thousands takes microseconds."""

    def __init__(self) -> None:
        """Make it without a trial."""
        self._rows: dict[int, int] = {}
        self._columns = np.empty((0, 64))
        self._errors = np.empty(64)
        """Of trials by their numbers: those of a study are counted from 0."""

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def _filled(self) -> NDArray[np.float64]:
        return self._columns[:, : len(self._rows)]

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Numbers of the trials, in the order they came in."""
        numbers: NDArray[np.float64] = self._filled[0]
        return numbers

    @property
    def errors(self) -> NDArray[np.float64]:
        """Decimal logarithms of what the merits lack to 1."""
        errors: NDArray[np.float64] = np.log10(np.maximum(1 - self._filled[1], LEAST_ERROR))
        return errors

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Sizes of the trials, a row an objective."""
        sizes: NDArray[np.float64] = self._filled[3:]
        return sizes

    def enter(self, number: int, merit: float, loss: float, sizes: Sequence[float]) -> None:
        """Put a trial in, or in its place if it is there already."""
        if not self._rows:
            self._columns = np.empty((3 + len(sizes), 64))
        row = self._rows.setdefault(number, len(self._rows))
        if row == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.empty_like(self._columns)], axis=1)
        self._columns[:, row] = number, merit, loss, *sizes
        while number >= len(self._errors):
            self._errors = np.concatenate([self._errors, np.empty_like(self._errors)])
        self._errors[number] = log_error(merit)

    def size(self, number: int) -> NDArray[np.float64]:
        """Sizes of a trial, a row an objective."""
        size: NDArray[np.float64] = self._columns[3:, self._rows[number], None]
        return size

    def error(self, number: int) -> float:
        """Decimal logarithm of what a trial's merit lacks to 1."""
        return float(self._errors[number])

    def errors_of(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of several trials, which are in."""
        errors: NDArray[np.float64] = self._errors[numbers.astype(np.int64)]
        return errors

    def at_least_as_good(self, number: int) -> NDArray[np.bool_]:
        """Which trials did at least as well as one, whatever their size.

        Merits are steps of one sample, so the loss decides where they are equal. Of two that are equal in size too, the
        earlier one counts as better: otherwise each would be a reason to prune the other.
        """
        numbers, merits, losses = self._filled[:3]
        _, merit, loss = self._columns[:3, self._rows[number]]
        other: NDArray[np.bool_] = np.any(self.sizes != self.size(number), axis=0)
        equal = (merits == merit) & (losses == loss)
        better = (merits > merit) | ((merits == merit) & (losses < loss))
        found: NDArray[np.bool_] = better | (equal & (other | (numbers < number)))
        return found

    def dominators(self, number: int) -> NDArray[np.bool_]:
        """Which trials did at least as well as one and are no larger."""
        return self.at_least_as_good(number) & self.no_larger(number)

    def no_larger(self, number: int, slack: float = 1.0) -> NDArray[np.bool_]:
        """Which trials have at most `slack` times the sizes of one."""
        found: NDArray[np.bool_] = np.all(self.sizes <= slack * self.size(number), axis=0)
        return found

    def place(self, number: int) -> int:
        """Place of a trial, from 0, in the order of fronts and, within one, of its ε-net."""
        rank = fronts(np.vstack([self.errors, self.sizes]).T)
        row = self._rows[number]
        own = np.flatnonzero(rank == rank[row]).tolist()
        before = int((rank < rank[row]).sum())
        return before + _net(np.log(self.sizes[0, own])).index(own.index(row))


def _net(values: NDArray[np.float64]) -> list[int]:
    """Order of some values, each the one farthest from those before it, beginning with the least."""
    order = [int(values.argmin())]
    nearest = np.full(len(values), np.inf)
    while len(order) < len(values):
        nearest = np.minimum(nearest, np.abs(values - values[order[-1]]))
        nearest[order] = -1.0
        order.append(int(nearest.argmax()))
    return order
