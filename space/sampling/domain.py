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
from space.sampling.families import draw, unsupported_reason
from space.sampling.random_trial import RandomTrial

WIDEST = 128.0
RESOLUTION = 0.002
"""How finely a scale is found, in its natural logarithm: 0.2 %."""

POWER = 1.3
"""First guess of the power of the scale that parameters grow like: between 1 (one wide layer) and 2 (convolutions)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What may be drawn: families, the range of sizes (parameters) that widths are scaled to, and a budget.

    Sizes are drawn evenly on a log scale, so that small students are searched as well as large ones; a structure that
    needs more of anything than the budget allows is made narrower. The default sizes are the `size_range` of the
    default budget.
    """

    families: Annotated[tuple[Family, ...], Field(min_length=1)] = FAMILIES
    smallest: Annotated[int, Field(ge=1)] = 250
    largest: Annotated[int, Field(ge=1)] = 9_999
    budget: Budget = Budget()


def size_range(budget: Budget) -> tuple[int, int]:
    """A domain's `smallest` and `largest` under a budget: nothing larger could meet it.

    Every parameter takes a byte or more of the deployed size. MACs and memory limit no number of parameters.
    """
    limits = [limit for limit in (budget.parameters, budget.int8_bytes) if limit is not None]
    largest = max(2, min(limits) - 1) if limits else Domain().largest
    return min(Domain().smallest, largest // 2), largest


def fitting(domain: Domain, shape: tuple[int, ...]) -> tuple[Family, ...]:
    """Families of the domain that can take inputs of `shape`; raises InputError when none can."""
    families = tuple(family for family in domain.families if unsupported_reason(family, shape) is None)
    if not families:
        reasons = "; ".join(str(unsupported_reason(family, shape)) for family in domain.families)
        raise InputError(f"no family of the space can take the inputs ({reasons}): add mlp, which takes any")
    return families


def suggest(trial: Trial, domain: Domain, shape: tuple[int, ...], classes: int) -> Architecture:
    """Draw one architecture for inputs of `shape`: (channels, height, width) or (time, features).

    The trial is asked for family, size and structure; widths follow in closed form: the widest network of that
    structure with at most `size` parameters that is within the budget, or the narrowest there is.
    """
    family: Family = trial.suggest_categorical("family", fitting(domain, shape))
    size = trial.suggest_float("size", domain.smallest, domain.largest, log=True)
    plan = draw(trial, family, shape)
    most = {name: max(1.0, limit - 1) for name, limit in domain.budget.limits.items()}
    most["parameters"] = min(size, most.get("parameters", size))
    return fit(lambda scale: Architecture(family=family, shape=shape, classes=classes, blocks=plan(scale)), most)


def fit(make: Callable[[float], Architecture], most: Mapping[str, float]) -> Architecture:
    """The architecture of the largest scale in 1..128 that costs at most `most`, else that of scale 1.

    The scale is found to `RESOLUTION`: false position comes close, since costs grow about like a power of the scale;
    halving does the rest, where most scales give a network known already. `make` must not shrink with its scale.

    Args:
        make: from a scale to an architecture.
        most: of any costs by name, at least 1.
    """
    best, over = make(1.0), None
    low, high = 0.0, math.log(WIDEST)
    room, excess = _room(best, most), math.nan
    step = 0
    while room >= 0 and high - low > RESOLUTION:
        if step >= 5:
            guess = (low + high) / 2
        elif over is None:
            guess = low + room / POWER
        else:
            guess = low + (high - low) * room / (room + excess)
        scale = min(max(guess, low + RESOLUTION / 2), high - RESOLUTION / 2)
        candidate = make(math.exp(scale))
        step += 1
        if candidate == best:
            low = scale
        elif candidate == over:
            high = scale
        elif (left := _room(candidate, most)) >= 0:
            low, best, room = scale, candidate, left
        else:
            high, over, excess = scale, candidate, -left
    return best


def _room(architecture: Architecture, most: Mapping[str, float]) -> float:
    """Logarithm of what is left of the scarcest: negative for an architecture that costs too much."""
    cost = architecture.cost()
    return min(math.log(limit / getattr(cost, name)) for name, limit in most.items())


def check_feasible(domain: Domain, shape: tuple[int, ...], classes: int, draws: int = 1_000) -> list[str]:
    """Look for a student of every family within the domain's budget, among `draws` random ones of the smallest size.

    Returns:
        One line for every family without, or that cannot take inputs of `shape`.

    Raises:
        InputError: when no family has one.
    """
    generator, budget = random.Random(0), domain.budget
    families = fitting(domain, shape)
    lines, least, nearest = [], math.inf, ""
    for family in families:
        worst = math.inf
        for _ in range(draws):
            trial = RandomTrial(generator, {"family": family, "size": float(domain.smallest)})
            architecture = suggest(trial, domain, shape, classes)
            excess = max(budget.violations(architecture).values(), default=0.0)
            if excess < worst:
                closest, worst = architecture, excess
            if excess <= 0:
                break
        else:
            objection = budget.rejection_reason(closest) or ""
            lines.append(f"no {family} meets the budget, the nearest has {objection}: leave it out of space.families")
            if worst < least:
                least, nearest = worst, objection
    if len(lines) == len(families):
        raise InputError(
            f"no architecture of {', '.join(families)} meets the budget; the nearest has {nearest}: raise it"
        )
    left_out = (reason for family in domain.families if (reason := unsupported_reason(family, shape)))
    return [*(f"left out: {reason}" for reason in left_out), *lines]
