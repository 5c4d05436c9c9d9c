"""What a teacher takes: pixels scaled and laid out as it was trained on them."""

import torch
from torch import Tensor

from kd.data.dataset import DataSet
from kd.teachers.source import Layout, TeacherSource
from space.errors import InputError

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Statistics of ImageNet's red, green and blue in 0..1, which torchvision's weights are trained with."""


def check_input(source: TeacherSource, data: DataSet) -> None:
    """Raise InputError for a scale, layout or order of channels that samples of this shape cannot have."""
    fitting = layouts(data)
    if source.layout != "auto" and source.layout not in fitting:
        raise InputError(
            f"teacher.layout = '{source.layout}': samples of shape {data.shape} have none of that: "
            f"use auto, {', '.join(fitting)}"
        )
    if (source.scale == "imagenet" and data.shape[0] != 3) or (data.sequences and source.scale not in _OF_SEQUENCES):
        raise InputError(
            f"teacher.scale = '{source.scale}': samples of shape {data.shape} are no pixels of three colours: "
            f"use {' or '.join(_OF_SEQUENCES) if data.sequences else '0..1, 0..255, -1..1 or standardised'}"
        )
    if source.channels == "bgr" and (data.sequences or data.shape[0] != 3):
        raise InputError(
            f"teacher.channels = 'bgr': samples of shape {data.shape} have no three colours: leave it away"
        )


def layouts(data: DataSet) -> tuple[Layout, ...]:
    """The layouts that samples of a data set can have, the likeliest first."""
    if data.sequences:
        return ("nlc", "ncl", "flat")
    if data.shape[0] == 1:
        return ("nchw", "flat", "nhwc", "nhw", "ncwh")
    return ("nchw", "flat", "nhwc", "nhwc-flat", "ncwh")


def prepared(pixels: Tensor, source: TeacherSource, data: DataSet) -> Tensor:
    """`kd.data.dataset.values`, (batch, *shape), as the source says that its teachers take them; contiguous."""
    match source.scale:
        case "0..255":
            pixels = pixels * 255
        case "-1..1":
            pixels = pixels * 2 - 1
        case "standardised":
            mean, std = data.moments(pixels.device)
            pixels = (pixels - mean) / std
        case "imagenet":
            mean, std = (
                torch.tensor(s, device=pixels.device)[:, None, None] for s in (IMAGENET_MEAN, IMAGENET_DEVIATION)
            )
            pixels = (pixels - mean) / std
    if source.channels == "bgr":
        pixels = pixels.flip(1)
    match source.layout:
        case "nhwc":
            pixels = pixels.permute(0, 2, 3, 1)
        case "ncwh":
            pixels = pixels.transpose(2, 3)
        case "nhw":
            pixels = pixels.squeeze(1)
        case "flat":
            pixels = pixels.flatten(1)
        case "nhwc-flat":
            pixels = pixels.permute(0, 2, 3, 1).flatten(1)
        case "ncl":
            pixels = pixels.transpose(1, 2)
    return pixels.contiguous()


_OF_SEQUENCES = ("0..1", "standardised")
