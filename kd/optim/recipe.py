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
    """How a student is trained.

    `loss` is "hard" (labels only) or a soft loss of `kd.losses.logits`, at `temperature`, with labels weighing
    `hard_weight`; `standardise` normalises logits first, `dkd_alpha` and `dkd_beta` weigh the two parts of "dkd". A
    `feature_loss` of `kd.losses.features` is added, times `feature_weight`; it needs a teacher's stage. `epochs` is
    the length of a "cosine" schedule; on a "constant" one training may stop anywhere, which is what rungs need. The
    first `warmup` epochs raise the rate linearly; `optimizer` is one of `kd.optim.muon`. Of `epochs` the last share
    `fade` (rounded to whole epochs) sees milder augmentation, of half the strength, and the last `clean_epochs` see
    unaugmented images. `views` augmented passes are prepared and used in turn, and up to as many milder ones. `ema` is
    the ceiling of the decay of the averaged weights, which are the ones evaluated and kept. `augmentation` may be
    written as "none".
    """

    loss: Loss = "kl"
    temperature: PositiveFloat = 2.0
    hard_weight: Share = 0.0
    standardise: bool = False
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dkd_alpha: Annotated[float, Field(ge=0)] = 1.0
    dkd_beta: Annotated[float, Field(ge=0)] = 8.0
    feature_loss: FeatureLoss = "none"
    feature_weight: PositiveFloat = 1.0
    schedule: Literal["constant", "cosine"] = "constant"
    epochs: PositiveInt = 9
    warmup: Annotated[float, Field(ge=0)] = 0.3
    optimizer: Optimizer = "muon"
    learning_rate: PositiveFloat = 2e-2
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    batch: Annotated[int, Field(ge=2)] = 256
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    fade: Share = 0.0
    clean_epochs: Annotated[int, Field(ge=0)] = 0
    views: PositiveInt = 6
    augmentation: Policy = Augmentation()

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name the recipe."""
        settings = asdict(self) | {"augmentation": self.augmentation.settings()}
        if not self.fade:  # what came later changes no digest of a recipe without it
            del settings["fade"]
        if self.optimizer == "adamw":
            del settings["optimizer"]
        if self.feature_loss == "none":
            del settings["feature_loss"], settings["feature_weight"]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def clean(self) -> range:
        """Epochs, counted from 0, on the unaugmented view."""
        return range(self.epochs - self.clean_epochs, self.epochs)

    @property
    def mild(self) -> range:
        """Epochs, counted from 0, on views of milder augmentation."""
        return range(self.epochs - round(self.fade * self.epochs), self.epochs - self.clean_epochs)

    def learning_rate_at(self, epoch: float) -> float:
        """Learning rate after `epoch` epochs (fractions count)."""
        if epoch < self.warmup:
            return self.learning_rate * (epoch / self.warmup)
        if self.schedule == "constant":
            return self.learning_rate
        progress = min(1.0, (epoch - self.warmup) / max(1e-9, self.epochs - self.warmup))
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDomain:
    """What of a recipe is drawn together with every student: choices of `loss`, ranges of numbers.

    `temperature` and `learning_rate` are drawn evenly in their logarithm. What is left out is not drawn.
    """

    loss: tuple[Loss, ...] = ()
    temperature: Range | None = None
    hard_weight: ShareRange | None = None
    learning_rate: Range | None = None

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
