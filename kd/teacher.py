"""The teacher: a mid-size convolutional network, its training, its file."""

import json
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from kd.augment import Augmentation, augmented
from kd.data import ASSETS, DataSet, Split, per_channel, stored_statistic, values
from space.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRecipe:
    """How the teacher is made: layer widths (every second layer has stride 2), passes, one-cycle AdamW."""

    widths: tuple[int, ...] = (32, 32, 64, 64, 128, 128)
    epochs: int = 22
    batch: int = 256
    learning_rate: float = 6e-3
    weight_decay: float = 0.05
    dropout: float = 0.2
    ema: float = 0.999
    augmentation: Augmentation = Augmentation()
    seed: int = 0


class Teacher(nn.Module):
    """3×3 convolutions with batch norm and SiLU, global average pooling, dropout, a linear layer.

    Input: `kd.data.values`, (batch, channels, height, width). Output: logits (batch, classes).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        widths: tuple[int, ...],
        dropout: float = 0,
    ) -> None:
        """Build an untrained teacher for samples of `shape` (channels, height, width), statistics one a channel."""
        super().__init__()
        self.shape, self.classes = shape, classes
        self.register_buffer("mean", per_channel(mean), persistent=False)
        self.register_buffer("std", per_channel(std), persistent=False)
        layers: list[nn.Module] = []
        channels = shape[0]
        for index, width in enumerate(widths):
            stride = 2 if index % 2 and index < 4 else 1
            layers += [
                nn.Conv2d(channels, width, 3, stride, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.SiLU(inplace=True),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, classes)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        logits: Tensor = self.head(self.features((pixels - self.mean) / self.std))
        return logits


def half_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where it pays: on a GPU, and on a CPU with matrix tiles (AMX), else no change.

    By the hardware, not by a measurement at run time, so that the same machine gives the same teacher. A CPU with
    AVX-512 BF16 but no tiles took 289 ms a training step in bfloat16 and 253 ms in float32.
    """
    pays = device.type == "cuda" or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=pays)


@torch.no_grad()
def teacher_logits(teacher: nn.Module, pixels: Tensor) -> Tensor:
    """Logits float32 (batch, classes) of a teacher in evaluation mode, always computed in float32."""
    logits: Tensor = teacher(pixels.to(memory_format=torch.channels_last))
    return logits


def accuracy(teacher: nn.Module, split: Split, device: torch.device, batch: int = 1_000) -> float:
    """Share of a split's images that the teacher labels correctly."""
    right = 0
    for images, labels in zip(split.images.split(batch), split.labels.split(batch), strict=True):
        answers = teacher_logits(teacher, values(images.to(device))).argmax(1)
        right += int((answers == labels.to(device)).sum())
    return right / len(split.labels)


def teach(
    data: DataSet, recipe: TeacherRecipe, device: torch.device, log: Callable[[dict[str, float]], None]
) -> tuple[Teacher, list[dict[str, float]]]:
    """Train a teacher on the training split alone; returns it (EMA weights) and its learning curve.

    The test split is not touched. `log` is called after each epoch with that epoch's row of the curve.
    """
    torch.manual_seed(recipe.seed)
    generator = torch.Generator(device).manual_seed(recipe.seed)
    model = Teacher(data.shape, data.classes, data.mean, data.std, recipe.widths, recipe.dropout)
    model.to(device).to(memory_format=torch.channels_last)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    batch = min(recipe.batch, len(data.train.labels))
    steps = len(data.train.labels) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.25
    )
    images, labels = data.train.images.to(device), data.train.labels.to(device)
    curve: list[dict[str, float]] = []
    for epoch in range(1, recipe.epochs + 1):
        started, total = time.perf_counter(), torch.zeros((), device=device)
        model.train()
        order = torch.randperm(len(labels), generator=generator, device=device)
        for index in order[: steps * batch].split(batch):
            pixels = augmented(values(images[index]), data, recipe.augmentation, generator)
            with half_precision(device):
                logits = model(pixels.to(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits.float(), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            averaged.update_parameters(model)
            total += loss.detach()
        batches = (values(images[index]) for index in order[:10_240].split(512))
        update_bn((augmented(b, data, recipe.augmentation, generator) for b in batches), averaged, device)
        averaged.eval()
        row = {
            "epoch": epoch,
            "train_loss": float(total) / steps,
            "validation_accuracy": accuracy(averaged, data.validation, device),
            "seconds": time.perf_counter() - started,
        }
        curve.append(row)
        log(row)
    teacher = averaged.module
    assert isinstance(teacher, Teacher)
    return teacher.eval(), curve


def save(teacher: Teacher, path: Path, recipe: TeacherRecipe, data: DataSet) -> None:
    """Write a teacher as fp16 safetensors; what is needed to rebuild it lies in the file's metadata."""
    tensors = {
        name: tensor.half().contiguous() for name, tensor in teacher.state_dict().items() if tensor.is_floating_point()
    }
    metadata = {
        "shape": json.dumps(data.shape),
        "classes": json.dumps(data.classes),
        "mean": json.dumps(data.mean),
        "std": json.dumps(data.std),
        "widths": json.dumps(recipe.widths),
        "recipe": json.dumps(asdict(recipe)),
        "data": data.digest,
    }
    save_file(tensors, path, metadata)


def fused(teacher: Teacher) -> Teacher:
    """A copy for inference: batch norm folded into the convolutions, 1.4 times faster on a CPU; same module names."""
    copy = deepcopy(teacher)
    layers = list(copy.features)
    folded: list[nn.Module] = []
    for convolution, norm, activation in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        folded += [fuse_conv_bn_eval(convolution, norm), nn.Identity(), activation]
    copy.features = nn.Sequential(*folded).to(memory_format=torch.channels_last)
    return copy


def load(path: Path, device: torch.device) -> Teacher:
    """Read a teacher written by `save`, in evaluation mode; raises InputError for anything else."""
    try:
        with safe_open(path, framework="pt") as archive:
            about = {name: json.loads(value) for name, value in archive.metadata().items() if name != "data"}
            tensors = {name: archive.get_tensor(name).float() for name in archive.keys()}  # noqa: SIM118
        mean, std = stored_statistic(about["mean"]), stored_statistic(about["std"])
        teacher = Teacher(tuple(about["shape"]), about["classes"], mean, std, tuple(about["widths"]))
        counters = {n: t for n, t in teacher.state_dict().items() if not t.is_floating_point()}
        teacher.load_state_dict(tensors | counters)
    except (OSError, KeyError, AttributeError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot read a teacher from {path} ({reason}): make one with wunderkind teach") from error
    return teacher.to(device).to(memory_format=torch.channels_last).eval()


def check(teacher: Teacher, data: DataSet) -> None:
    """Raise InputError when a teacher cannot answer for the images of a data set."""
    if (teacher.shape, teacher.classes) != (data.shape, data.classes):
        raise InputError(
            f"the teacher takes {teacher.shape} images of {teacher.classes} classes, {data.name} has "
            f"{data.shape} images of {data.classes}: make one with wunderkind teach"
        )


def shipped(name: str) -> Path:
    """Path of the teacher shipped for a data set."""
    return ASSETS / f"{name}-teacher.safetensors"
