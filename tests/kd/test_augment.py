import math

import pytest
import torch
from torch import Tensor

from kd.augment import Augmentation, augment

STILL = Augmentation(rotation=0, shift=0, scale=0, shear=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blob(count: int = 64) -> Tensor:
    """The same off-centre square `count` times."""
    image = torch.zeros(1, 1, 28, 28)
    image[:, :, 8:12, 16:20] = 1
    return image.repeat(count, 1, 1, 1)


def centres(images: Tensor) -> Tensor:
    """Centre of mass of each image, rows then columns, from the middle of the image."""
    place = torch.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    mass = images.sum((1, 2, 3))
    return torch.stack([(images.sum((1, 3)) * place).sum(1) / mass, (images.sum((1, 2)) * place).sum(1) / mass], dim=1)


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (5, 3, 8, 11)])
def test_without_movement_images_stay(shape: tuple[int, int, int, int]) -> None:
    images = torch.rand(shape, generator=generator())
    torch.testing.assert_close(augment(images, STILL, generator()), images, rtol=0, atol=1e-5)


def test_every_image_moves_in_its_own_way() -> None:
    moved = augment(blob(), Augmentation(), generator())
    assert len({image.numpy().tobytes() for image in moved}) == 64


def test_the_generator_decides() -> None:
    first, again, other = (augment(blob(), Augmentation(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_dtype_shape_and_range_are_kept() -> None:
    images = torch.rand(7, 2, 9, 9)
    moved = augment(images, Augmentation(), generator())
    assert moved.shape == images.shape
    assert moved.dtype == images.dtype
    assert moved.min() >= 0
    assert moved.max() <= 1 + 1e-6


def test_shifts_are_fractions_of_the_side() -> None:
    moved = centres(augment(blob(500), Augmentation(rotation=0, shift=0.1, scale=0, shear=0), generator()))
    away = (moved - centres(blob(1))).abs()
    assert away.max() <= 2.8 + 1e-3
    assert away.max(dim=0).values.min() > 2.5
    assert away.mean(dim=0) == pytest.approx([1.4, 1.4], abs=0.15)


def test_rotations_turn_about_the_centre_by_at_most_the_angle() -> None:
    policy = Augmentation(rotation=20, shift=0, scale=0, shear=0)
    before, after = centres(blob(1)), centres(augment(blob(500), policy, generator()))
    torch.testing.assert_close(after.norm(dim=1), before.norm(dim=1).expand(500), rtol=0.03, atol=0)
    turned = torch.atan2(after[:, 0], after[:, 1]) - torch.atan2(before[:, 0], before[:, 1])
    assert turned.abs().max() <= math.radians(20.5)
    assert turned.min() < -math.radians(17)
    assert turned.max() > math.radians(17)


def test_scales_are_relative_sizes() -> None:
    policy = Augmentation(rotation=0, shift=0, scale=0.2, shear=0)
    mass = augment(blob(500), policy, generator()).sum((1, 2, 3)) / 16
    # an image seen 1 ± 0.2 times as far in each direction
    assert mass.min() >= 1 / 1.2**2 - 0.05
    assert mass.max() <= 1 / 0.8**2 + 0.05
    assert mass.max() - mass.min() > 0.4


def test_shears_keep_the_area() -> None:
    policy = Augmentation(rotation=0, shift=0, scale=0, shear=15)
    moved = augment(blob(500), policy, generator())
    torch.testing.assert_close(moved.sum((1, 2, 3)), torch.full((500,), 16.0), rtol=0.08, atol=0)
    assert centres(moved).std(dim=0).max() > 0.1


def test_pixels_from_outside_are_dark() -> None:
    moved = augment(torch.ones(50, 1, 28, 28), Augmentation(rotation=0, shift=0.3, scale=0, shear=0), generator())
    assert moved.min() == 0
