import math
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from kd.data.augmentation import (
    NO_AUGMENTATION,
    Augmentation,
    _displacement,
    augment,
    augment_sequences,
    augmented,
    default_policy,
)
from kd.data.dataset import DataSet, values


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
    torch.testing.assert_close(augment(images, NO_AUGMENTATION, generator()), images, rtol=0, atol=1e-5)


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


def test_rotations_and_shears_keep_shapes_on_oblong_images() -> None:
    square = torch.zeros(1, 1, 64, 64)
    square[:, :, 28:36, 20:44] = 1
    for shape in ((40, 120), (120, 40)):
        oblong = torch.zeros(1, 1, *shape)
        top, left = shape[0] // 2 - 4, shape[1] // 2 - 12
        oblong[:, :, top : top + 8, left : left + 24] = 1
        for policy in (still(rotation=30), still(shear=30)):
            moved = [augment(images, policy, generator(7)) for images in (square, oblong)]
            spreads = [_spread(image) for image in moved]
            torch.testing.assert_close(spreads[0], spreads[1], rtol=0.03, atol=0.5)


def _spread(image: Tensor) -> Tensor:
    """Second moments of the bright pixels in pixels: of y, x, and both."""
    mass = image[0, 0] / image.sum()
    y, x = (torch.arange(side) - (side - 1) / 2 for side in mass.shape)
    return torch.stack([(mass.T * y**2).sum(), (mass * x**2).sum(), (mass * y[:, None] * x).sum()])


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


def still(**parts: float) -> Augmentation:
    return replace(NO_AUGMENTATION, **parts)


def digits(small_data: DataSet, count: int = 300) -> Tensor:
    return values(small_data.train.images[:count])


IMAGE_PARTS = {"elastic": 0.05, "crop": 0.1, "flip": 0.5, "erasing": 0.5}
SEQUENCE_PARTS = {"jitter": 0.1, "scaling": 0.2, "time_shift": 0.2}


@pytest.mark.parametrize("part", IMAGE_PARTS)
def test_every_part_is_off_by_default_repeatable_and_its_own_for_each_image(part: str, small_data: DataSet) -> None:
    assert getattr(Augmentation(), part) == 0
    images, policy = digits(small_data, 1).expand(64, -1, -1, -1).contiguous(), still(**{part: IMAGE_PARTS[part]})
    first, again = augment(images, policy, generator()), augment(images, policy, generator())
    assert torch.equal(first, again)
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert 0 <= first.min() <= first.max() <= 1 + 1e-6
    assert len({image.numpy().tobytes() for image in first}) > (1 if part == "flip" else 20)
    assert not torch.equal(first, augment(images, policy, generator(1)))


@pytest.mark.parametrize("shape", [(4, 3, 5, 9), (4, 1, 1, 7), (4, 2, 2, 2)])
def test_every_part_takes_every_shape(shape: tuple[int, int, int, int]) -> None:
    images = torch.rand(shape, generator=generator())
    changed = augment(images, replace(Augmentation(), **IMAGE_PARTS), generator())
    assert changed.shape == shape
    assert changed.isfinite().all()
    sequences = augment_sequences(images[:, 0].transpose(1, 2), still(**SEQUENCE_PARTS), generator())
    assert sequences.isfinite().all()


def test_nothing_asked_changes_nothing() -> None:
    images = torch.rand(5, 1, 9, 9)
    assert augment(images, NO_AUGMENTATION, generator()) is images
    sequences = images[:, 0]
    assert augment_sequences(sequences, Augmentation(), generator()) is sequences


def test_elastic_displacements_are_smooth_and_have_the_asked_deviation() -> None:
    field = _displacement(torch.zeros(400, 1, 28, 28), generator())
    assert field.shape == (400, 28, 28, 2)
    # alike everywhere, edges too
    assert field.std(dim=0).mean() == pytest.approx(1, abs=0.02)
    assert field.std(dim=0).amin() > 0.85
    assert field.std(dim=0).amax() < 1.15
    steps = (field[:, 1:] - field[:, :-1]).std()
    # of noise convolved with a Gaussian: sqrt(2 (1 - exp(-1 / 4σ²)))
    assert float(steps) == pytest.approx(math.sqrt(2 * (1 - math.exp(-1 / (4 * 4**2)))), rel=0.03)
    moved = centres(augment(blob(500), still(elastic=0.05), generator())) - centres(blob(1))
    assert moved.std(dim=0).tolist() == pytest.approx([1.4, 1.4], rel=0.15)


def test_simards_alpha_makes_the_documented_deviation() -> None:
    """α = 34 and σ = 4 on 29 pixels, with the Gaussian by hand."""
    place = torch.arange(-12, 13)
    kernel = torch.exp(-0.5 * (place / 4) ** 2)
    kernel = kernel / kernel.sum()
    deviation = 34 * math.sqrt(1 / 3) * float(kernel.square().sum())
    assert deviation / 29 == pytest.approx(0.05, rel=0.15)


def test_crops_move_by_whole_pixels(small_data: DataSet) -> None:
    images = digits(small_data)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    windows = {
        (y, x): padded[:, :, 2 - y : 30 - y, 2 - x : 30 - x] for y in (-2, -1, 0, 1, 2) for x in (-2, -1, 0, 1, 2)
    }
    changed = augment(images, still(crop=2 / 28), generator())
    fits = torch.stack([(window == changed).flatten(1).all(1) for window in windows.values()])
    assert bool(fits.any(0).all())
    assert bool(fits.any(1).all()), "every move occurs"


def test_flips_mirror_the_asked_share(small_data: DataSet) -> None:
    images = digits(small_data)
    changed = augment(images, still(flip=0.3), generator())
    mirrored = (changed == images.flip(3)).flatten(1).all(1)
    kept = (changed == images).flatten(1).all(1)
    assert bool((mirrored | kept).all())
    assert float((mirrored & ~kept).float().mean()) == pytest.approx(0.3, abs=0.08)
    assert torch.equal(augment(images, still(flip=1), generator()), images.flip(3))


def test_erased_rectangles_are_those_of_the_paper() -> None:
    images = torch.full((2_000, 1, 40, 40), -1.0)
    changed = augment(images, still(erasing=0.5), generator())
    erased = changed != -1
    hit = erased.flatten(1).any(1)
    assert float(hit.float().mean()) == pytest.approx(0.5, abs=0.04)
    rows, columns = erased[hit].any(3).sum(2)[:, 0], erased[hit].any(2).sum(2)[:, 0]
    area = erased[hit].flatten(1).sum(1)
    assert torch.equal(area, rows * columns), "a whole rectangle"
    assert 0.02 * 1600 - 10 <= area.min() <= 0.03 * 1600
    assert 0.36 * 1600 <= area.max() <= 0.4 * 1600 + 40
    assert (rows / columns).max() < 4
    assert (rows / columns).min() > 1 / 4
    touched = erased[:, 0].any(0)
    assert bool(touched.all()), "corners too"
    noise = changed[erased]
    assert (float(noise.mean()), float(noise.std())) == pytest.approx((0.5, 12**-0.5), abs=0.01)


def test_sequences_jitter_scale_and_shift_by_what_was_asked() -> None:
    steps = torch.arange(20.0)
    ramp = (steps / 10 - 1)[None, :, None].repeat(800, 1, 2)
    noise = augment_sequences(ramp, still(jitter=0.3), generator()) - ramp
    assert (float(noise.mean()), float(noise.std())) == pytest.approx((0, 0.3), abs=0.01)
    factor = augment_sequences(ramp, still(scaling=0.2), generator()) / ramp.where(ramp != 0, torch.ones(()))
    factor = factor[:, 0, 0]
    assert 0.8 <= factor.min() < 0.82
    assert 1.18 < factor.max() <= 1.2
    shifted = augment_sequences(ramp, still(time_shift=0.1), generator())
    expected = {tuple((steps - move).clamp(0, 19).int().tolist()) for move in (-2, -1, 0, 1, 2)}
    found = {tuple(((row + 1) * 10).round().int().tolist()) for row in shifted[:, :, 0]}
    assert found == expected
    assert torch.equal(shifted[..., 0], shifted[..., 1]), "all features move together"


def test_noise_on_raw_sequences_is_in_deviations_of_the_feature(sequences: DataSet) -> None:
    shown = augmented(sequences.train.images, sequences, still(jitter=0.5), generator())
    noise = (shown - sequences.train.images).flatten(0, 1).std(0)
    assert (noise / torch.tensor(sequences.std)).tolist() == pytest.approx([0.5] * 28, rel=0.05)
    untouched = augmented(sequences.train.images, sequences, replace(Augmentation(), **IMAGE_PARTS), generator())
    torch.testing.assert_close(untouched, sequences.train.images)


def test_digits_do_not_flip_and_clothes_do() -> None:
    for name in ("mnist", "kmnist", "emnist-balanced", "emnist-letters", "emnist-digits", "usps", "svhn", "mine.npz"):
        assert default_policy(name) == Augmentation()
    assert Augmentation().flip == 0
    assert default_policy("fashion-mnist").flip == default_policy("cifar10").flip == 0.5


def test_every_part_has_a_digest_of_its_own_however_it_is_written() -> None:
    every = [replace(Augmentation(), **{field.name: 0.37}) for field in fields(Augmentation)]
    assert len({str(policy.settings()) for policy in every}) == len(every)
    assert str(Augmentation(rotation=3).settings()) == str(Augmentation(rotation=3.0).settings())


@pytest.mark.parametrize("sequences", [False, True])
def test_parts_without_effect_are_left_out(sequences: bool) -> None:
    everything = Augmentation(**{field.name: 0.37 for field in fields(Augmentation)})
    kept = {name for name, value in everything.effective(sequences).settings().items() if value}
    own = {"jitter", "scaling", "time_shift"}
    both = {"mixup", "cutmix"}
    assert kept == (own | both if sequences else {field.name for field in fields(Augmentation)} - own)
    assert NO_AUGMENTATION.effective(sequences) == NO_AUGMENTATION
