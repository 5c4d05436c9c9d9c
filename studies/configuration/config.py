"""What is asked of a study."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from kd.data.dataset import DataSource
from kd.deploy.places import FORMATS, Format
from kd.optim.recipe import Recipe, RecipeDomain
from kd.students.scores import Metric
from kd.teachers.source import TeacherSource
from space.architecture import FAMILIES, Family
from space.board import Board, find
from space.budget import Budget
from space.sampling.domain import Domain, most_parameters, parameter_range

Natural = Annotated[int, Field(ge=1)]
CostName = Literal["parameters", "macs", "memory_bytes", "int8_bytes", "latency_ms"]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How candidates are found and compared.

    When the `hours` are over, rungs in training are finished, and candidates that wait for their next rung stay
    unfinished: the next run of the study goes on with them, for as many hours.
    """

    trials: Natural = 40
    """Students to train in total, over all runs; suggestions over budget or seen before come on top [students]."""
    hours: Annotated[float, Field(gt=0)] | None = None
    """Wall-clock limit of one run: the search ends in time for retraining, but has at least half of it [hours]."""
    rungs: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1, 3, 9)
    """Training lengths at which candidates are compared, rising; fractions are allowed [epochs]."""
    startup: Annotated[int, Field(ge=0)] = 15
    """First suggestions, of the families in turn; random, unless a `predictor` has a prior [suggestions]."""
    pruner: Literal["asha", "extrapolation", "peers", "none"] = "asha"
    """What prunes candidates: a low place (`asha`), `extrapolation` to the last rung, better `peers`, or nothing."""
    certainty: Annotated[float, Field(ge=0)] = 1.0
    """Extrapolation: how many deviations a candidate's prediction must be worse than the front [deviations]."""
    peers: Natural = 3
    """Peers: how many others, one no larger, must have done at least as well [candidates]."""
    slack: Annotated[float, Field(ge=1)] = 1.1
    """Peers: how many times a candidate's parameters one that counts as its peer may have [ratio]."""
    reduction: Annotated[float, Field(gt=1)] = 3.0
    """Asha: one of how many candidates goes on [candidates]."""
    metric: Metric = "accuracy"
    """Validation figure that is searched, pruned and put on the front; the latter two suit uneven classes."""
    objectives: Annotated[tuple[CostName, ...], Field(min_length=1, max_length=2)] = ("parameters",)
    """One or two costs that are minimised: what the front is over; `latency_ms` is measured here, in onnxruntime."""
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Value of the metric below which a student is no use: the sampler avoids it, the front leaves it out [share]."""
    seed: Seed = 0
    """Seed of the sampler and of every candidate's training."""
    recipe: RecipeDomain = RecipeDomain()
    """What of a recipe is drawn with every architecture, and kept when it is retrained."""
    sampler: Literal["predictor", "evolution", "tpe", "nsga2", "random"] = "predictor"
    """Who suggests after the start: a `predictor` of errors, `evolution`, Optuna's `tpe` or `nsga2`, chance."""
    prior: tuple[str, ...] | None = None
    """Predictor: tables of trained students that it knows from the start; left out, those of all other data sets."""
    warm_start: tuple[str, ...] = ()
    """Predictor: studies under the same root whose trained students it knows too, or `all` that there are."""

    @property
    def epochs(self) -> float:
        """How long a candidate trains that is never pruned."""
        last = self.rungs[-1]
        return last if last % 1 else int(last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Which students may be drawn."""

    families: Annotated[tuple[Family, ...], Field(min_length=1)] = FAMILIES
    """Families to draw from."""
    smallest: Natural | None = None
    """Size that the smallest students are drawn for; left out, it follows from the budget [parameters]."""
    largest: Natural | None = None
    """Size that the largest students are drawn for; left out, it follows from the budget [parameters]."""
    sizes: tuple[Natural, ...] = ()
    """Sizes to search at, rising, or what the budget allows of them: the best of each is retrained [parameters]."""
    board: str | None = None
    """Board to fit, see wunderkind boards; its flash and RAM limit budget.int8_bytes and budget.memory_bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """How the search front is retrained to full accuracy."""

    points: Annotated[int, Field(ge=0)] = 5
    """Students of the front to retrain, of `space.sizes` the best each: the ends, others between; 0: all [students]."""
    seeds: Natural = 3
    """Times that each of them is trained, from another start each time [seeds]."""
    with_validation: bool = False
    """Train on validation samples too; reports then give the test accuracy alone, and choices go by the search."""
    ablation: bool = False
    """Also train each student on labels alone, with the same seeds: reports then tell what distillation gave."""
    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "int8_accuracy"] | None = None
    """What of the validation split the best retrained student is chosen by; left out, search.metric."""
    recipe: Recipe = Recipe(schedule="cosine", epochs=40, warmup=0.05)
    """How a student is retrained."""
    int8: bool = True
    """Quantise retrained students to int8 and measure them; one that loses over 0.05 points is fine-tuned first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is written of a retrained student, beside student.onnx."""

    formats: tuple[Format, ...] = FORMATS
    """Its other forms: student-int8.onnx, and folders of C, c in float and c-int8 in 8-bit integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistants:
    """Networks between teacher and students, each distilled from the one before; no budget holds them."""

    architectures: tuple[str, ...] = ()
    """Shipped architectures by name, or .json files, the largest first."""
    recipe: Recipe = Retrain().recipe
    """How an assistant is trained."""
    seed: Seed = 0
    """Seed of every assistant's training."""


def teacher_settings(teacher: Any) -> Any:
    """The settings of a teacher that may be written as the name of its one model."""
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
    """Everything asked of a study.

    A file that names no teacher means the shipped one of its data set, if there is one. What it leaves out of a recipe
    is that of `Config`, `Retrain` or `Assistants`; what it leaves out of `recipe.augmentation` is the default policy of
    its data set (`kd.data.augmentation`), and what it leaves out of another recipe's augmentation is that of `recipe`.
    `recipe.epochs`, left out or on a constant schedule, is the last of `search.rungs`.

    >>> config = Config(budget=Budget(parameters=5_000), search=Search(trials=10, rungs=(0.5, 2)))
    >>> config.recipe.epochs, config.domain.largest
    (2, 4999)
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    data: DataSource = DataSource()
    """Which data, and how they are split."""
    teacher: Annotated[TeacherSource, BeforeValidator(teacher_settings)] = TeacherSource()
    """Who teaches; may be written as the name of one model. Left out, it is the shipped teacher of the data set."""
    space: Space = Space()
    """Which students may be drawn."""
    budget: Budget = Budget()
    """Limits that every student must stay under; one over any of them is rejected before it is trained."""
    search: Search = Search()
    """How candidates are found and compared."""
    recipe: Recipe = Recipe()
    """How the search trains. What is left out of its augmentation is the default of the data set."""
    retrain: Retrain = Retrain()
    """How the search front is retrained to full accuracy."""
    export: Export = Export()
    """What is written of every retrained student."""
    assistants: Assistants = Assistants()
    """Networks between teacher and students, each distilled from the one before; no budget holds them."""

    @property
    def board(self) -> Board | None:
        """The board that students are to fit, if there is one; raises InputError for an unknown one."""
        return None if self.space.board is None else find(self.space.board)

    def __post_init__(self) -> None:
        """A constant schedule lasts as long as the search trains, so that its shares are of a true length."""
        if self.recipe.schedule == "constant":
            object.__setattr__(self, "recipe", replace(self.recipe, epochs=self.search.epochs))

    @property
    def domain(self) -> Domain:
        """What is drawn: the space within the budget."""
        smallest, largest = parameter_range(self.budget)
        sizes = self._sizes
        return Domain(
            families=self.space.families,
            smallest=min(sizes, default=self.space.smallest or smallest),
            largest=max(sizes, default=self.space.largest or largest),
            sizes=sizes,
            budget=self.budget,
        )

    @property
    def _sizes(self) -> tuple[int, ...]:
        """The sizes to search at; the largest that the budget allows is in the place of those that it does not."""
        most = most_parameters(self.budget)
        return tuple(dict.fromkeys(size if most is None else min(size, most) for size in self.space.sizes))

    def to_json(self) -> str:
        """Indented JSON that `parse` reads back."""
        return json.dumps(asdict(self), indent=2) + "\n"
