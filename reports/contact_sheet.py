"""A picture of a data set: samples of every class, and beside them what augmentation makes of samples."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from kd.data.augmentation import augmented, default_policy
from kd.data.dataset import DataSet, values
from kd.files import write_whole
from space.errors import InputError

SAMPLES, CHANGED = 8, 4
"""Samples a class as they are, and after augmentation."""
CLASSES = 24
"""Classes that are shown at most."""
TILE, GAP, LABEL, HEAD = 64, 4, 150, 24
"""Sides of a tile and of the space around it, width of the names, height of the headings [pixels]."""
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
"""Colours of the first features of a sequence."""


def write_contact_sheet(data: DataSet, path: Path) -> None:
    """Draw training samples of a data set, one row a class, and write them as `path`, in the format of its suffix.

    Raises:
        InputError: for a suffix that is no picture's, or a place where nothing can be written.
    """
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise InputError(f"--picture {path}: '{path.suffix}' is no format of pictures, use .png")
    content = io.BytesIO()
    contact_sheet(data).save(content, format=Image.registered_extensions()[path.suffix.lower()])
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise InputError(f"--picture {path}: cannot write it ({error.strerror}): choose another place") from error


def contact_sheet(data: DataSet) -> Image.Image:
    """Rows of classes: their first samples, then some of them again, augmented as is the default."""
    shown = min(data.classes, CLASSES)
    width, height = tile_size(data)
    changes = any(default_policy(data.name).effective(data.sequences).settings().values())
    columns = SAMPLES + CHANGED * changes
    size = (
        LABEL + columns * (width + GAP) + 4 * GAP,
        HEAD + shown * (height + GAP) + (HEAD if shown < data.classes else 0),
    )
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    start = LABEL + SAMPLES * (width + GAP) + 3 * GAP
    draw.text((LABEL, 5), "training samples", "black", font)
    draw.text((start, 5), "after augmentation" if changes else "", "black", font)
    generator = torch.Generator().manual_seed(0)
    limits = value_limits(data)
    for row in range(shown):
        top = HEAD + row * (height + GAP)
        draw.text((GAP, top + height // 2 - 8), _short(data.names[row]), "black", font)
        samples = values(data.train.taken((data.train.labels == row).nonzero()[:SAMPLES, 0]))
        changed = augmented(
            samples[: CHANGED * changes], data, default_policy(data.name).effective(data.sequences), generator
        )
        for place, tiles in ((LABEL, samples), (start, changed)):
            for column, sample in enumerate(tiles):
                sheet.paste(draw_sample(sample, (width, height), limits), (place + column * (width + GAP), top))
    if shown < data.classes:
        draw.text((GAP, size[1] - HEAD + 4), f"… and {data.classes - shown} more classes", "black", font)
    return sheet


def tile_size(data: DataSet) -> tuple[int, int]:
    """Width and height of a sample: an image's sides are kept in proportion."""
    if data.sequences:
        return 2 * TILE, TILE
    _, height, width = data.shape
    scale = TILE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def value_limits(data: DataSet) -> tuple[float, float]:
    """Lowest and highest value drawn of a sequence: all but the most extreme hundredth."""
    if not data.sequences:
        return 0.0, 1.0
    some = data.train.images[:500].flatten()
    low, high = np.quantile(some.numpy(), (0.005, 0.995)).tolist()
    return low, max(high, low + 1e-9)


def draw_sample(sample: Tensor, size: tuple[int, int], limits: tuple[float, float]) -> Image.Image:
    """Draw one of `kd.data.dataset.values`: an image's pixels, a sequence as lines between the limits."""
    if sample.ndim == 2:
        return _lines(sample, size, limits)
    if len(sample) not in (1, 3, 4):  # no colours: their mean
        sample = sample.mean(0, keepdim=True)
    pixels = (sample[:3].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    enlarged = size[0] >= picture.width
    return picture.resize(size, Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)


def _lines(sequence: Tensor, size: tuple[int, int], limits: tuple[float, float]) -> Image.Image:
    """A line a feature over time, of the first features."""
    tile = Image.new("RGB", size, "#f4f4f4")
    draw = ImageDraw.Draw(tile)
    low, high = limits
    x = np.linspace(1, size[0] - 2, len(sequence))
    for feature, colour in zip(sequence.T.numpy(), COLOURS, strict=False):
        y = (size[1] - 2) * (1 - (feature.clip(low, high) - low) / (high - low)) + 1
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=colour, width=1)
    return tile


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"
