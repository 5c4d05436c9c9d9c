"""Batched augmentation: every sample of a batch gets an affine map of its own."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Ranges of a uniform random affine map: degrees, fraction of the image side, relative size, degrees."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 12.0
    shift: Annotated[float, Field(ge=0, le=1)] = 0.08
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.12
    shear: Annotated[float, Field(ge=0, lt=90)] = 8.0


def augment(images: Tensor, policy: Augmentation, generator: torch.Generator) -> Tensor:
    """Move each image by its own random affine map.

    Args:
        images: float (batch, channels, height, width).
        policy: the ranges to draw from.
        generator: the source of randomness, on the images' device.

    Returns:
        The moved images, same shape and dtype; pixels from outside are 0.
    """

    def uniform(limit: float) -> Tensor:
        draw = torch.rand(len(images), generator=generator, device=images.device)
        return (draw * 2 - 1) * limit

    angle = uniform(math.radians(policy.rotation))
    shear = uniform(math.tan(math.radians(policy.shear)))
    x_scale, y_scale = 1 + uniform(policy.scale), 1 + uniform(policy.scale)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # affine_grid maps output to input coordinates in -1..1, so a shift of a whole side is 2
    x_row = torch.stack([cos * x_scale, (shear * cos - sin) * x_scale, uniform(2 * policy.shift)], dim=1)
    y_row = torch.stack([sin * y_scale, (shear * sin + cos) * y_scale, uniform(2 * policy.shift)], dim=1)
    theta = torch.stack([x_row, y_row], dim=1).to(images.dtype)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
