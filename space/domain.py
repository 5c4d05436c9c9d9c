"""The domain of the search, and how one student is drawn from it."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from space.architecture import FAMILIES, Architecture, Family
from space.budget import Budget
from space.errors import InputError
from space.families import Trial, draw, unfit

WIDEST = 128.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What may be drawn: families, and the range of sizes (parameters) that widths are scaled to.

    Sizes are drawn evenly on a log scale, so that small students are searched as well as large ones.
    """

    families: Annotated[tuple[Family, ...], Field(min_length=1)] = FAMILIES
    smallest: Annotated[int, Field(ge=1)] = 250
    largest: Annotated[int, Field(ge=1)] = 12_000


def fitting(domain: Domain, shape: tuple[int, ...]) -> tuple[Family, ...]:
    """Families of the domain that can take inputs of `shape`; raises InputError when none can."""
    families = tuple(family for family in domain.families if unfit(family, shape) is None)
    if not families:
        reasons = "; ".join(str(unfit(family, shape)) for family in domain.families)
        raise InputError(f"no family of the space can take the inputs ({reasons}): add mlp, which takes any")
    return families


def suggest(trial: Trial, domain: Domain, shape: tuple[int, ...], classes: int) -> Architecture:
    """Draw one architecture for inputs of `shape`: (channels, height, width) or (time, features).

    The trial is asked for family, size and structure; widths follow in closed form: the widest network of that
    structure with at most `size` parameters, or the narrowest there is.
    """
    family: Family = trial.suggest_categorical("family", fitting(domain, shape))
    size = trial.suggest_float("size", domain.smallest, domain.largest, log=True)
    plan = draw(trial, family, shape)
    return fit(lambda scale: Architecture(family=family, shape=shape, classes=classes, blocks=plan(scale)), size)


def fit(make: Callable[[float], Architecture], size: float) -> Architecture:
    """The architecture of the largest scale in 1..128 with at most `size` parameters, else that of scale 1."""
    low, high = 0.0, math.log(WIDEST)
    best = make(1.0)
    for _ in range(12):
        middle = (low + high) / 2
        candidate = make(math.exp(middle))
        if candidate.cost().parameters <= size:
            low, best = middle, candidate
        else:
            high = middle
    return best


@dataclass(slots=True)
class RandomTrial:
    """Draws at random, without a study; answers in `params` are given back instead of drawn."""

    generator: random.Random
    params: dict[str, Any] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Draw an integer in low..high."""
        value: int = self.params.setdefault(name, self.generator.randint(low, high))
        return value

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number in low..high, evenly or evenly in its logarithm."""
        draw = (
            math.exp(self.generator.uniform(math.log(low), math.log(high)))
            if log
            else self.generator.uniform(low, high)
        )
        value: float = self.params.setdefault(name, draw)
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of the choices."""
        return self.params.setdefault(name, self.generator.choice(choices))


def check_feasible(domain: Domain, budget: Budget, shape: tuple[int, ...], classes: int, draws: int = 2_000) -> None:
    """Raise InputError when no family fits, or none of `draws` random students, drawn small, is within the budget."""
    generator = random.Random(0)
    nearest, worst = "", math.inf
    for _ in range(draws):
        trial = RandomTrial(generator, {"size": float(domain.smallest)})
        architecture = suggest(trial, domain, shape, classes)
        excess = max(budget.violations(architecture).values(), default=0.0)
        if excess <= 0:
            return
        if excess < worst:
            nearest, worst = budget.objection(architecture) or "", excess
    raise InputError(
        f"no architecture of {', '.join(fitting(domain, shape))} meets the budget; the nearest has {nearest}: raise it"
    )
