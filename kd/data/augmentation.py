"""Batched augmentation: every sample of a batch is changed in a way of its own, on the device it lies on."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from kd.data.dataset import DataSet

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What views are made with; 0 turns a part off.

    >>> Augmentation(rotation=0, shift=0, scale=0, shear=0) == NO_AUGMENTATION
    True
    >>> Augmentation(flip=0.5).weak().flip
    0.25
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 12.0
    """Images: largest random rotation either way [degrees]."""
    shift: Share = 0.08
    """Images: largest random shift either way [share of the side]."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.12
    """Images: largest random change of size either way, height and width apart [share of the size]."""
    shear: Annotated[float, Field(ge=0, lt=90)] = 8.0
    """Images: largest random shear either way [degrees]."""
    elastic: Share = 0.0
    """Images: standard deviation of an elastic displacement [share of the side]."""
    crop: Share = 0.0
    """Images: largest random shift by whole pixels either way [share of the side]."""
    flip: Share = 0.0
    """Images: how often they are mirrored left to right [probability]."""
    erasing: Share = 0.0
    """Images: how often a rectangle is erased [probability]."""
    mixup: Amount = 0.0
    """Views: α of the Beta distribution by which two samples are mixed."""
    cutmix: Amount = 0.0
    """Views: α of the Beta distribution by which a part of another sample is pasted in."""
    jitter: Amount = 0.0
    """Sequences: standard deviation of added noise [deviations of the feature]."""
    scaling: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Sequences: largest random change of size either way [share of the size]."""
    time_shift: Share = 0.0
    """Sequences: largest random shift in time either way [share of the length]."""

    def settings(self) -> dict[str, float]:
        """All parts by name, as floats however they were written: what digests are made of."""
        return {name: float(value) for name, value in asdict(self).items()}

    def weak(self) -> "Augmentation":
        """The same at half the strength: ranges, probabilities and α halved."""
        return Augmentation(**{name: value / 2 for name, value in asdict(self).items()})

    def effective(self, sequences: bool) -> "Augmentation":
        """The same without the parts that change nothing: those of sequences for images, and the other way round."""
        parts = SEQUENCE_PARTS if sequences else IMAGE_PARTS
        return Augmentation(**{name: value if name in parts else 0 for name, value in asdict(self).items()})


AFFINE = ("rotation", "shift", "scale", "shear")
MIXING = ("mixup", "cutmix")
IMAGE_PARTS = (*AFFINE, "elastic", "crop", "flip", "erasing", *MIXING)
SEQUENCE_PARTS = ("jitter", "scaling", "time_shift", *MIXING)
NO_AUGMENTATION = Augmentation(rotation=0, shift=0, scale=0, shear=0)
"""Nothing moves."""

POLICIES = {
    "fashion-mnist": Augmentation(rotation=0, shift=0, scale=0, shear=0, crop=2 / 28, flip=0.5),
    "cifar10": Augmentation(rotation=0, shift=0, scale=0, shear=0, crop=4 / 32, flip=0.5),
    "mnist-1d": Augmentation(rotation=0, shift=0, scale=0, shear=0, jitter=0.05, scaling=0.1, time_shift=0.1),
}
"""Clothes and photographs look the same from the left; digits and letters do not, and are never flipped."""


def default_policy(name: str) -> Augmentation:
    """The augmentation of a data set unless another is asked for; `Augmentation()` for any not in `POLICIES`."""
    return POLICIES.get(name, Augmentation())


def augmented(values: Tensor, data: DataSet, policy: Augmentation, generator: torch.Generator) -> Tensor:
    """Change samples of a data set, images or sequences; `values` are what `kd.data.dataset.values` gives."""
    if data.sequences:
        if not (policy.time_shift or policy.scaling or policy.jitter):
            return values
        mean, std = data.moments(values.device)
        return augment_sequences((values - mean) / std, policy, generator) * std + mean
    return augment(values, policy, generator)


def augment(images: Tensor, policy: Augmentation, generator: torch.Generator) -> Tensor:
    """Change each image in its own way: affine map and elastic displacement, crop, flip, erasing.

    Args:
        images: float (batch, channels, height, width).
        policy: the ranges to draw from.
        generator: the source of randomness, on the images' device.

    Returns:
        The changed images, same shape and dtype; pixels from outside are 0.
    """
    if any(getattr(policy, name) for name in AFFINE) or policy.elastic:
        images = _warp(images, policy, generator)
    if policy.crop:
        images = _crop(images, policy.crop, generator)
    if policy.flip:
        chosen = _uniform(images, generator) < policy.flip
        images = torch.where(chosen[:, None, None, None], images.flip(3), images)
    if policy.erasing:
        images = _erase(images, policy.erasing, generator)
    return images


def augment_sequences(sequences: Tensor, policy: Augmentation, generator: torch.Generator) -> Tensor:
    """Shift each sequence in time, scale it and add noise (Um et al. 2017, section 3).

    Args:
        sequences: float (batch, time, features), of zero mean and unit deviation.
        policy: the ranges to draw from.
        generator: the source of randomness, on the sequences' device.

    Returns:
        The changed sequences; what a shift lacks is filled with the value at that end.
    """
    if policy.time_shift:
        steps = sequences.shape[1]
        moves = _whole(sequences, round(policy.time_shift * steps), generator)
        index = (torch.arange(steps, device=sequences.device) - moves[:, None]).clamp(0, steps - 1)
        sequences = sequences.gather(1, index[:, :, None].expand_as(sequences))
    if policy.scaling:
        factor = 1 + (2 * _uniform(sequences, generator) - 1) * policy.scaling
        sequences = sequences * factor[:, None, None]
    if policy.jitter:
        noise = torch.randn(sequences.shape, generator=generator, device=sequences.device)
        sequences = sequences + policy.jitter * noise
    return sequences


def _uniform(samples: Tensor, generator: torch.Generator) -> Tensor:
    """A number in 0..1 for each sample."""
    return torch.rand(len(samples), generator=generator, device=samples.device)


def _whole(samples: Tensor, limit: int, generator: torch.Generator) -> Tensor:
    """A whole number in -limit..limit for each sample."""
    return torch.randint(-limit, limit + 1, (len(samples),), generator=generator, device=samples.device)


def _warp(images: Tensor, policy: Augmentation, generator: torch.Generator) -> Tensor:
    def uniform(limit: float) -> Tensor:
        return (_uniform(images, generator) * 2 - 1) * limit

    angle = uniform(math.radians(policy.rotation))
    shear = uniform(math.tan(math.radians(policy.shear)))
    x_scale, y_scale = 1 + uniform(policy.scale), 1 + uniform(policy.scale)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # affine_grid maps output to input coordinates, both in -1..1 whatever the sides, so a shift of a whole side is 2
    aspect = images.shape[2] / images.shape[3]
    x_row = torch.stack([cos * x_scale, (shear * cos - sin) * x_scale * aspect, uniform(2 * policy.shift)], dim=1)
    y_row = torch.stack([sin * y_scale / aspect, (shear * sin + cos) * y_scale, uniform(2 * policy.shift)], dim=1)
    theta = torch.stack([x_row, y_row], dim=1).to(images.dtype)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    if policy.elastic:
        grid = grid + 2 * policy.elastic * _displacement(images, generator)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _displacement(images: Tensor, generator: torch.Generator) -> Tensor:
    """Smooth random fields of unit deviation, (batch, height, width, 2) (Simard et al. 2003, section 2).

    Uniform noise convolved with a Gaussian. Their σ is 4 pixels of 29, a seventh of the side, and their α of 34 makes a
    deviation of 0.05 sides.
    """
    count, _, height, width = images.shape
    rows, columns = (_smoothing(side, side / 7, images.device) for side in (height, width))
    size = (count, 2, rows.shape[1], columns.shape[1])
    noise = torch.rand(size, generator=generator, device=images.device) * 2 - 1
    # the variance of uniform noise in -1..1 is 1/3
    return (3**0.5 * rows @ noise @ columns.T).permute(0, 2, 3, 1).to(images.dtype)


def _smoothing(side: int, sigma: float, device: torch.device) -> Tensor:
    """A Gaussian convolution as a matrix of rows of unit norm, (side, points).

    The points of noise lie half a σ apart, for finer noise is smoothed away, and reach 3 σ over both edges, so that
    what comes out is alike everywhere.
    """
    point = torch.arange(-3 * sigma, side - 1 + 3.5 * sigma, sigma / 2, device=device)
    distance = point - torch.arange(side, device=device)[:, None]
    return functional.normalize(torch.exp(-0.5 * (distance / sigma) ** 2), dim=1)


def _crop(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Windows at random whole pixels of the images with a dark frame."""
    count, channels, *sides = images.shape
    moved = images
    for dimension, side in zip((2, 3), sides, strict=True):
        place = torch.arange(side, device=images.device) - _whole(images, round(share * side), generator)[:, None]
        shape = [count, 1, 1, 1]
        shape[dimension] = side
        inside = ((place >= 0) & (place < side)).view(shape)
        index = place.clamp(0, side - 1).view(shape).expand(count, channels, *sides)
        moved = moved.gather(dimension, index) * inside
    return moved


def _erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Random erasing (Zhong et al. 2020, algorithm 1): noise over 2 to 40 % of the area, aspect ratio 0.3 to 3.3.

    A rectangle longer than the image is cut to it, where they draw again.
    """
    height, width = images.shape[2:]
    chosen = _uniform(images, generator) < probability
    area = (0.02 + 0.38 * _uniform(images, generator)) * height * width
    aspect = torch.exp((2 * _uniform(images, generator) - 1) * math.log(1 / 0.3))
    rows = stretch(_uniform(images, generator), (area * aspect).sqrt().clamp(max=height), height)
    columns = stretch(_uniform(images, generator), (area / aspect).sqrt().clamp(max=width), width)
    erased = chosen[:, None, None, None] & rows[:, None, :, None] & columns[:, None, None, :]
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return torch.where(erased, noise, images)


def stretch(place: Tensor, length: Tensor, side: int) -> Tensor:
    """Which of `side` pixels lie in a stretch, bool (batch, side).

    Args:
        place: where it begins, 0 (first pixel) to 1 (so that it ends at the last), (batch,).
        length: pixels, at most `side`, rounded, (batch,).
        side: pixels.
    """
    whole = length.round()
    start = (place * (side - whole + 1)).floor().clamp(max=(side - whole))
    pixel = torch.arange(side, device=place.device)
    return (pixel >= start[:, None]) & (pixel < (start + whole)[:, None])
