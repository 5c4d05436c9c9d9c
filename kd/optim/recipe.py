"""Everything about training that is not the architecture."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kd.data.augmentation import NO_AUGMENTATION, Augmentation
from space.sampling.builder import Trial

PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Length = PositiveInt | PositiveFloat
Share = Annotated[float, Field(ge=0, le=1)]
Policy = Annotated[Augmentation, BeforeValidator(lambda given: asdict(NO_AUGMENTATION) if given == "none" else given)]
Loss = Literal["hard", "kl", "mse", "dkd", "dist"]
Optimizer = Literal["adamw", "muon"]
FeatureLoss = Literal["none", "hint", "attention", "similarity"]
PREFIX = "recipe."
"""What the names of a trial's parameters start with that are not the architecture's."""


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] >= bounds[1]:
        raise ValueError(f"a range must rise, not go from {bounds[0]} to {bounds[1]}")
    return bounds


Range = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_rising)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_rising)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a student is trained: loss, schedule, optimizer, views.

    Lengths are shares of `epochs`, so that a longer or shorter training keeps its shape.

    >>> recipe = Recipe(schedule="cosine", epochs=20, warmup=0.05, unaugmented=0.25, learning_rate=0.01)
    >>> [round(recipe.learning_rate_at(epoch), 4) for epoch in (0.5, 1, 10, 20)]
    [0.005, 0.01, 0.0054, 0.0]
    >>> recipe.unaugmented_epochs
    range(15, 20)
    """

    loss: Loss = "kl"
    """`hard` (labels only), or what is learnt from the teacher's logits: `kl`, `mse` (of centred logits), `dkd`,
    `dist`."""
    temperature: PositiveFloat = 2.0
    """Divides both logits before the softmax of `kl`, `dkd` and `dist`."""
    hard_weight: Share = 0.0
    """Weight of the cross-entropy with the labels; the rest is that of `loss` [share]."""
    standardise: bool = False
    """Whether both logits are first brought to zero mean and unit deviation over the classes."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that the labels' part of the loss spreads over all classes [share]."""
    dkd_alpha: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the label against all other classes in `dkd`."""
    dkd_beta: Annotated[float, Field(ge=0)] = 8.0
    """Weight of the other classes among themselves in `dkd`."""
    feature_loss: FeatureLoss = "none"
    """Added loss between maps of the student and of `teacher.stage`: `none`, `hint` (FitNets), `attention`,
    `similarity`."""
    feature_weight: PositiveFloat = 1.0
    """Weight of `feature_loss`."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after the warm-up: `constant`, so that training may stop at any rung, or falling to 0 along a
    `cosine`."""
    epochs: Length = 9
    """Passes over the training samples; where a configuration does not say it, `recipe.epochs` is the last of
    `search.rungs` [epochs]."""
    warmup: Share = 1 / 30
    """First part of the training, in which the learning rate rises linearly [share of `epochs`]."""
    optimizer: Optimizer = "muon"
    """`muon`, which orthogonalises the updates of weight matrices, or `adamw`."""
    learning_rate: PositiveFloat = 2e-2
    """Highest learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Decoupled weight decay, times the learning rate a step."""
    batch: Annotated[int, Field(ge=2)] = 256
    """Samples per step."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Ceiling of the decay of the weights' moving average, which is what is evaluated and kept."""
    weak_augmentation: Share = 0.0
    """Last part of the training, `unaugmented` included, on views augmented at half the strength; rounded to whole
    epochs [share of `epochs`]."""
    unaugmented: Share = 0.0
    """Last part of the training, on samples as they are; rounded to whole epochs [share of `epochs`]."""
    views: PositiveInt = 6
    """Augmented views that are prepared and used in turn, and as many of weak augmentation at most."""
    augmentation: Policy = Augmentation()
    """What views are made with; may be written as `none`."""

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name the recipe, however its numbers are written."""
        return hashlib.sha256(json.dumps(_floats(asdict(self)), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def unaugmented_epochs(self) -> range:
        """Epochs, counted from 0, on the unaugmented view."""
        return range(self._end - round(self.unaugmented * self._end), self._end)

    @property
    def weak_augmentation_epochs(self) -> range:
        """Epochs, counted from 0, on views of weak augmentation."""
        return range(self._end - round(self.weak_augmentation * self._end), self.unaugmented_epochs.start)

    def learning_rate_at(self, epoch: float) -> float:
        """Learning rate after `epoch` epochs (fractions count)."""
        warmup = self.warmup * self.epochs
        if epoch < warmup:
            return self.learning_rate * (epoch / warmup)
        if self.schedule == "constant":
            return self.learning_rate
        progress = min(1.0, (epoch - warmup) / max(1e-9, self.epochs - warmup))
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    @property
    def _end(self) -> int:
        return math.ceil(self.epochs)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDomain:
    """What of a recipe is drawn together with every student; what is left out is not drawn.

    >>> RecipeDomain(loss=("kl", "dkd"), temperature=(1, 8)).temperature
    (1, 8)
    """

    loss: tuple[Loss, ...] = ()
    """Losses to choose from."""
    temperature: Range | None = None
    """Lowest and highest temperature, drawn evenly in its logarithm."""
    hard_weight: ShareRange | None = None
    """Lowest and highest weight of the labels [share]."""
    learning_rate: Range | None = None
    """Lowest and highest learning rate, drawn evenly in its logarithm."""

    def draw(self, trial: Trial) -> None:
        """Ask a trial for all there is to draw, as `recipe.NAME`."""
        if self.loss:
            trial.suggest_categorical(f"{PREFIX}loss", self.loss)
        for name in ("temperature", "hard_weight", "learning_rate"):
            if bounds := getattr(self, name):
                trial.suggest_float(f"{PREFIX}{name}", *bounds, log=name != "hard_weight")


def drawn(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a recipe among a trial's parameters, to be put in its place with `dataclasses.replace`."""
    return {name.removeprefix(PREFIX): value for name, value in params.items() if name.startswith(PREFIX)}


def _floats(settings: Any) -> Any:
    """Settings with every number as a float: 9 and 9.0 are the same length."""
    if isinstance(settings, dict):
        return {name: _floats(value) for name, value in settings.items()}
    return float(settings) if isinstance(settings, int) and not isinstance(settings, bool) else settings
