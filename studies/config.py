"""What is asked of a study."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from kd.data.dataset import DataSource
from kd.optim.recipe import Recipe, RecipeDomain
from kd.teachers.source import TeacherSource
from space.architecture import FAMILIES, Family
from space.budget import Budget
from space.sampling.domain import Domain, size_range

Natural = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How candidates are found and compared.

    `trials` students are trained in total; suggestions over budget or seen before are free and come on top. `hours`
    limits the wall clock of one run: the search ends in time for retraining, yet has at least half of them. A candidate
    stops at each of `rungs` (epochs, fractions allowed); it is weak there when at least `peers` others with at most
    `slack` times its parameters did at least as well, by validation accuracy, at a tie by validation loss. A student
    whose validation accuracy (share) ends below `floor` is no use: the sampler takes it for infeasible and the front
    leaves it out. The first `startup` suggestions are random, the families taking turns; `sampler` makes the others.
    `recipe` is drawn with every architecture and also used to retrain it; an architecture is tried with one recipe
    only.
    """

    trials: Natural = 40
    hours: Annotated[float, Field(gt=0)] | None = None
    rungs: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1, 3, 9)
    startup: Annotated[int, Field(ge=0)] = 15
    peers: Natural = 3
    slack: Annotated[float, Field(ge=1)] = 1.1
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.9
    seed: Seed = 0
    recipe: RecipeDomain = RecipeDomain()
    sampler: Literal["tpe", "evolution", "random"] = "tpe"

    @property
    def epochs(self) -> float:
        """How long a candidate trains that is never pruned."""
        last = self.rungs[-1]
        return last if last % 1 else int(last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What may be drawn: `families`, and sizes (parameters) from `smallest` to `largest`; None: by the budget."""

    families: Annotated[tuple[Family, ...], Field(min_length=1)] = FAMILIES
    smallest: Natural | None = None
    largest: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """How the front is retrained: `points` students spread over size (0: all), `seeds` times each.

    `with_validation` retrains on training and validation samples together. No figure but the test accuracy is then told
    of a retrained student, and choices between students go by the search.
    """

    points: Annotated[int, Field(ge=0)] = 5
    seeds: Natural = 3
    with_validation: bool = False
    recipe: Recipe = Recipe(schedule="cosine", epochs=40, warmup=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistants:
    """Networks between teacher and students: shipped `architectures` by name or `.json` files, the largest first.

    Each is taught by the one before, by `recipe` and once, with `seed`; no budget holds them.
    """

    architectures: tuple[str, ...] = ()
    recipe: Recipe = Retrain().recipe
    seed: Seed = 0


def _named(teacher: Any) -> Any:
    if isinstance(teacher, str):
        return {"models": (teacher,)}
    # behind a function pydantic takes values for Python's, not JSON's, where an array may be a tuple
    return (
        {k: tuple(v) if isinstance(v, list) else v for k, v in teacher.items()}
        if isinstance(teacher, dict)
        else teacher
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything asked of a study. `teacher` may be written as the name of one model.

    A file that names no teacher means the shipped one of its data set, if there is one. What it leaves out of a recipe
    is that of `Config`, `Retrain` or `Assistants`; what it leaves out of `recipe.augmentation` is the default policy of
    its data set (`kd.data.augmentation`), and what it leaves out of another recipe's augmentation is that of `recipe`.
    `recipe.epochs`, left out or on a constant schedule, is the last of `search.rungs`.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    data: DataSource = DataSource()
    teacher: Annotated[TeacherSource, BeforeValidator(_named)] = TeacherSource()
    assistants: Assistants = Assistants()
    space: Space = Space()
    budget: Budget = Budget()
    search: Search = Search()
    recipe: Recipe = Recipe()
    retrain: Retrain = Retrain()

    def __post_init__(self) -> None:
        """A constant schedule lasts as long as the search trains, so that its shares are of a true length."""
        if self.recipe.schedule == "constant":
            object.__setattr__(self, "recipe", replace(self.recipe, epochs=self.search.epochs))

    @property
    def domain(self) -> Domain:
        """What is drawn: the space within the budget."""
        smallest, largest = size_range(self.budget)
        return Domain(
            families=self.space.families,
            smallest=self.space.smallest or smallest,
            largest=self.space.largest or largest,
            budget=self.budget,
        )

    def to_json(self) -> str:
        """Indented JSON that `parse` reads back."""
        return json.dumps(asdict(self), indent=2) + "\n"
