"""Everything about training that is not the architecture."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from kd.augment import STILL, Augmentation

PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Policy = Annotated[Augmentation, BeforeValidator(lambda given: asdict(STILL) if given == "none" else given)]
Loss = Literal["hard", "kl", "mse", "dkd", "dist"]
FeatureLoss = Literal["none", "hint", "attention", "similarity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a student is trained.

    `loss` is "hard" (labels only) or a soft loss of `kd.loss`, at `temperature`, with labels weighing `hard_weight`;
    `standardise` normalises logits first, `dkd_alpha` and `dkd_beta` weigh the two parts of "dkd". A `feature_loss` of
    `kd.features` is added, times `feature_weight`; it needs a teacher's stage. `epochs` is the length of a "cosine"
    schedule; on a "constant" one training may stop anywhere, which is what rungs need. The first `warmup` epochs raise
    the rate linearly. Of `epochs` the last share `fade` (rounded to whole epochs) sees milder augmentation, of half the
    strength, and the last `clean_epochs` see unaugmented images. `views` augmented passes are prepared and used in
    turn, and up to as many milder ones. `ema` is the ceiling of the decay of the averaged weights, which are the ones
    evaluated and kept. `augmentation` may be written as "none".
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
    learning_rate: PositiveFloat = 1e-2
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    batch: PositiveInt = 256
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

    def rate(self, epoch: float) -> float:
        """Learning rate after `epoch` epochs (fractions count)."""
        if epoch < self.warmup:
            return self.learning_rate * (epoch / self.warmup)
        if self.schedule == "constant":
            return self.learning_rate
        progress = min(1.0, (epoch - self.warmup) / max(1e-9, self.epochs - self.warmup))
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
