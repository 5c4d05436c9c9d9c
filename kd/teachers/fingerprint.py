"""What tells one teacher from another: its files, and of code also the weights it made and what it answers."""

import hashlib

import torch
from torch import Tensor, nn

from kd.data.dataset import DataSet, values
from kd.teachers.loading import LogitFunction, open_teacher, probe_places
from kd.teachers.source import TeacherSource
from kd.teachers.user_code import make_module

SAMPLES, GROUPS = 256, 8
"""Training samples that code is known by, and how many groups their logits are summed up in."""

STEP = 0.02
"""What a group's sum is rounded to, in deviations of all logits: far above what machines differ by, 1e-5."""


def fingerprint(source: TeacherSource, data: DataSet, module: nn.Module | None = None) -> str:
    """SHA-256 of what determines a teacher's logits; the same on every machine.

    Files are known by their content and the settings. Code is run on the CPU, since it may load weights and import
    other code: it is known by the weights of its network, and by its logits for a few training samples. They are
    rounded so coarsely, as sums over groups, that no machine's arithmetic shows.

    Args:
        source: who teaches.
        data: the samples.
        module: the network itself where `source` only names it.

    Raises:
        InputError: as `open_teacher`; nothing is run for files.
    """
    if module is None and not source.code:
        return source.files_fingerprint()
    parts = [repr(source.stage), str(source.cells)] if module is not None else [source.files_fingerprint()]
    if module is not None:
        parts += [weights_hash(module)]
        parts += [repr((source.scale, source.layout, source.channels, source.classes, source.output))]
    else:
        own = [
            model
            for model, file in zip(source.models, source.weights or ("",) * len(source.models), strict=True)
            if ":" in model and not model.startswith("torchvision:") and not file
        ]
        parts += [weights_hash(make_module(model, data.classes)) for model in own]
    parts.append(logits_hash(open_teacher(source, data, torch.device("cpu"), module=module), data))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def weights_hash(module: nn.Module) -> str:
    """SHA-256 of a network's structure and weights; not of what its code does."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, Tensor):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def logits_hash(teacher: LogitFunction, data: DataSet) -> str:
    """SHA-256 of a teacher's logits for some training samples, coarsely rounded; "" where they are random."""
    places = probe_places(data, SAMPLES)
    pixels = values(data.train.taken(places))
    logits = torch.cat([teacher(*part) for part in zip(pixels.split(64), places.split(64), strict=True)]).double()
    if not torch.allclose(logits[:64], teacher(pixels[:64], places[:64]).double(), rtol=1e-3, atol=1e-3):
        return ""
    signs = torch.where(torch.arange(logits.numel()) * 7 % 5 < 3, 1.0, -0.7).double().reshape(logits.shape)
    scale = logits.pow(2).mean().sqrt().clamp_min(1e-9)
    sums = [(part * sign).mean() / scale for part, sign in zip(logits.chunk(GROUPS), signs.chunk(GROUPS), strict=True)]
    size = torch.log2(scale) / 0.2  # of all logits, which temperature changes
    rounded = [round(float(value) / STEP) for value in sums] + [round(float(size) / 1)]
    return hashlib.sha256(repr(rounded).encode()).hexdigest()
