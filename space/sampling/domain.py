"""The domain of the search, and how one student is drawn from it."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from space.architecture import FAMILIES, Architecture, Family
from space.budget import Budget
from space.errors import InputError
from space.sampling.builder import Trial
from space.sampling.families import suggest_blocks, unsupported_reason
from space.sampling.random_trial import RandomTrial

MAX_SCALE = 128.0
"""Largest scale, which is the width of the first layer."""

SCALE_TOLERANCE = 0.002
"""How finely a scale is found, in its natural logarithm: 0.2 %."""

GROWTH_EXPONENT = 1.3
"""First guess of the power of the scale that parameters grow like: between 1 (one wide layer) and 2 (convolutions)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What may be drawn: families, a range of sizes that widths are scaled to, and a budget.

    Sizes are log-uniform, so that small students are searched as well as large ones; a structure that needs more of
    anything than the budget allows is made narrower. The default sizes are the `parameter_range` of the default budget.

    >>> Domain(families=("cnn", "mlp"), largest=2_000).smallest
    250
    """

    families: Annotated[tuple[Family, ...], Field(min_length=1)] = FAMILIES
    """Families that students are drawn from."""
    smallest: Annotated[int, Field(ge=1)] = 250
    """Least size that widths are scaled to [parameters]."""
    largest: Annotated[int, Field(ge=1)] = 9_999
    """Largest size that widths are scaled to [parameters]."""
    sizes: tuple[int, ...] = ()
    """Sizes that widths are scaled to, rising, in place of all from `smallest` to `largest` [parameters]."""
    budget: Budget = Budget()
    """Hard limits on the cost of a student."""

    def size_at(self, place: float) -> float:
        """The size at a place in [0, 1), from the smallest to the largest, evenly in its logarithm or over `sizes`."""
        if self.sizes:
            return self.sizes[int(place * len(self.sizes))]
        return float(self.smallest * (self.largest / self.smallest) ** place)


def most_parameters(budget: Budget) -> int | None:
    """The largest size that a student is made for under a budget, None where it is open; see `parameter_range`."""
    limits = [limit for limit in (budget.parameters, budget.int8_bytes) if limit is not None]
    return max(2, min(limits) - 1) if limits else None


def parameter_range(budget: Budget) -> tuple[int, int]:
    """The `smallest` and `largest` of a domain under a budget: nothing larger could meet it.

    Every parameter takes a byte or more of the deployed size. MACs and memory do not limit the number of parameters.
    """
    largest = most_parameters(budget) or Domain().largest
    return min(Domain().smallest, largest // 2), largest


def supported_families(domain: Domain, shape: tuple[int, ...]) -> tuple[Family, ...]:
    """Families of the domain that can take inputs of `shape`; raises InputError when none can."""
    families = tuple(family for family in domain.families if unsupported_reason(family, shape) is None)
    if not families:
        reasons = "; ".join(str(unsupported_reason(family, shape)) for family in domain.families)
        raise InputError(f"no family of the space can take the inputs ({reasons}): add mlp, which takes any")
    return families


def suggest(trial: Trial, domain: Domain, shape: tuple[int, ...], classes: int) -> Architecture:
    """Draw one architecture for inputs of `shape`: (channels, height, width) or (time, features).

    The trial draws family, size and structure. Widths follow in closed form: the widest network of that structure that
    has at most `size` parameters and is within the budget, or the narrowest there is.

    Args:
        trial: an Optuna trial, or a `RandomTrial`.
        domain: what may be drawn.
        shape: input of the network.
        classes: its outputs.

    Raises:
        InputError: when no family of the domain can take the inputs.

    >>> student = suggest(RandomTrial(random.Random(0)), Domain(largest=2_000), (1, 28, 28), 10)
    >>> student.family, student.cost().parameters
    ('liquid', 1105)
    """
    family: Family = trial.suggest_categorical("family", supported_families(domain, shape))
    size: float
    if domain.sizes:
        size = trial.suggest_categorical("size", domain.sizes)
    else:
        size = trial.suggest_float("size", domain.smallest, domain.largest, log=True)
    blocks = suggest_blocks(trial, family, shape)
    limits = {name: max(1.0, limit - 1) for name, limit in domain.budget.limits.items()}
    limits["parameters"] = min(size, limits.get("parameters", size))
    return widest(lambda scale: Architecture(family=family, shape=shape, classes=classes, blocks=blocks(scale)), limits)


def widest(make: Callable[[float], Architecture], limits: Mapping[str, float]) -> Architecture:
    """The architecture of the largest scale in 1..128 that costs at most the limits, else that of scale 1.

    The scale is found to `SCALE_TOLERANCE`: false position comes close, since costs grow about like a power of the
    scale; bisection does the rest, where most scales give a network known already.

    Args:
        make: from a scale to an architecture; must not shrink as the scale grows.
        limits: of any costs by name, at least 1.
    """
    best, over = make(1.0), None
    low, high = 0.0, math.log(MAX_SCALE)
    room, excess = _headroom(best, limits), math.nan
    step = 0
    while room >= 0 and high - low > SCALE_TOLERANCE:
        if step >= 5:
            guess = (low + high) / 2
        elif over is None:
            guess = low + room / GROWTH_EXPONENT
        else:
            guess = low + (high - low) * room / (room + excess)
        scale = min(max(guess, low + SCALE_TOLERANCE / 2), high - SCALE_TOLERANCE / 2)
        candidate = make(math.exp(scale))
        step += 1
        if candidate == best:
            low = scale
        elif candidate == over:
            high = scale
        elif (left := _headroom(candidate, limits)) >= 0:
            low, best, room = scale, candidate, left
        else:
            high, over, excess = scale, candidate, -left
    return best


def _headroom(architecture: Architecture, limits: Mapping[str, float]) -> float:
    """Least logarithm of limit over cost: negative for an architecture that costs too much."""
    cost = architecture.cost()
    return min(math.log(limit / getattr(cost, name)) for name, limit in limits.items())


def check_feasible(domain: Domain, shape: tuple[int, ...], classes: int, draws: int = 1_000) -> list[str]:
    """Look for a student of every family within the domain's budget, among `draws` random ones of the smallest size.

    Returns:
        One line for every family without, or that cannot take inputs of `shape`.

    Raises:
        InputError: when no family has one.
    """
    generator, budget = random.Random(0), domain.budget
    families = supported_families(domain, shape)
    lines, least, nearest = [], math.inf, ""
    for family in families:
        closest = _closest(family, domain, shape, classes, draws, generator)
        reason = budget.rejection_reason(closest)
        if reason is not None:
            lines.append(f"no {family} meets the budget, the nearest has {reason}: leave it out of space.families")
            if _excess(budget, closest) < least:
                least, nearest = _excess(budget, closest), reason
    if len(lines) == len(families):
        raise InputError(
            f"no architecture of {', '.join(families)} meets the budget; the nearest has {nearest}: raise that limit"
        )
    left_out = (reason for family in domain.families if (reason := unsupported_reason(family, shape)))
    return [*(f"left out: {reason}" for reason in left_out), *lines]


def _closest(
    family: Family, domain: Domain, shape: tuple[int, ...], classes: int, draws: int, generator: random.Random
) -> Architecture:
    """The first of some draws of the smallest size that is within the budget, else the nearest to it."""

    def draw() -> Architecture:
        fixed = {"family": family, "size": float(domain.smallest)}
        return suggest(RandomTrial(generator, fixed), domain, shape, classes)

    closest = draw()
    for _ in range(draws - 1):
        if _excess(domain.budget, closest) <= 0:
            break
        closest = min(closest, draw(), key=lambda architecture: _excess(domain.budget, architecture))
    return closest


def _excess(budget: Budget, architecture: Architecture) -> float:
    """Largest relative excess over a limit; at most 0 within the budget."""
    return max(budget.violations(architecture).values(), default=0.0)
