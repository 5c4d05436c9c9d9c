"""Teaching a teacher: one epoch at a time, from checkpoint to checkpoint, then its file and its log."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from kd.data.augmentation import augmented
from kd.data.dataset import DataSet, DataSource, equal_parts, load_once, values
from kd.files import write_whole
from kd.optim.checkpoint import averaged_weights, pack, unpack
from kd.optim.muon import optimizer_of
from kd.teachers.loading import open_teacher
from kd.teachers.network import Teacher, TeacherRecipe, accuracy, check_origin, origin, save
from kd.teachers.source import TeacherSource
from space.errors import InputError

Curve = list[dict[str, float]]


def checkpoint_of(path: Path) -> Path:
    """Where the training state of a teacher lies until its file, `path`, is written."""
    return path.with_name(f".{path.stem}.checkpoint.safetensors")


def curve_of(path: Path, recipe: TeacherRecipe, data: DataSet) -> Curve:
    """Learning curve of a teacher's checkpoint, empty without one; raises InputError for one of another recipe."""
    checkpoint = checkpoint_of(path)
    curve: Curve = json.loads(check_origin(checkpoint, recipe, data)["curve"]) if checkpoint.is_file() else []
    return curve


def teach_epoch(source: DataSource, recipe: TeacherRecipe, path: Path, threads: int, device: str) -> Curve:
    """Train a teacher for one epoch more than its checkpoint has, and replace the checkpoint.

    All randomness follows from seed and epoch: with the same number of threads a CPU gives the same bits, whatever
    happened between two epochs. The test split is not touched.

    Args:
        source: the data; the training split is trained on.
        recipe: how.
        path: the file that the teacher will have.
        threads: of this process.
        device: where.

    Returns:
        The learning curve so far.

    Raises:
        InputError: for a loss that is no number, or a checkpoint of another recipe.
    """
    started = time.perf_counter()
    torch.set_num_threads(threads)
    data, place = load_once(source), torch.device(device)
    curve = curve_of(path, recipe, data)
    epoch = len(curve)
    if epoch == recipe.epochs:  # this task had been done by a worker that died before it could say so
        return curve
    torch.manual_seed(recipe.seed)
    model = Teacher(data.shape, data.classes, data.mean, data.std, recipe.widths, recipe.dropout)
    model.to(place).to(memory_format=torch.channels_last)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    optimizer = optimizer_of(model, recipe.optimizer, recipe.learning_rate, recipe.weight_decay)
    batch = min(recipe.batch, len(data.train.labels))
    steps = len(data.train.labels) // batch
    total_steps = max(5, recipe.epochs * steps)  # torch divides by zero where a quarter of them is one
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        total_steps=total_steps,
        pct_start=0.25,
        cycle_momentum=recipe.optimizer == "adamw",
    )
    optimizer.step()  # changes nothing without gradients, yet the schedule wants to come after it
    for _ in range(epoch * steps):
        schedule.step()
    if curve:
        unpack(checkpoint_of(path).read_bytes(), model, averaged, optimizer)
    torch.manual_seed(recipe.seed * 10_007 + epoch + 1)  # dropout's
    generator = torch.Generator(place).manual_seed(recipe.seed * 10_007 + epoch + 1)
    images, labels = data.train.images.to(place), data.train.labels.to(place)
    total = torch.zeros((), device=place)
    model.train()
    order = torch.randperm(len(labels), generator=generator, device=place)
    for index in order[: steps * batch].split(batch):
        pixels = augmented(values(images[index]), data, recipe.augmentation, generator)
        with half_precision(place):
            logits = model(pixels)
        loss = functional.cross_entropy(logits.float(), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        averaged.update_parameters(model)
        total += loss.detach()
    if not math.isfinite(float(total)):
        raise InputError(f"loss is {float(total)} in epoch {epoch + 1} of {path}: lower --learning-rate")
    batches = (values(images[index]) for index in equal_parts(order[:10_240], 512))
    update_bn((augmented(b, data, recipe.augmentation, generator) for b in batches), averaged, place)
    averaged.eval()
    row = {
        "epoch": epoch + 1,
        "train_loss": float(total) / steps,
        "validation_accuracy": accuracy(averaged, data.validation, place),
        "seconds": time.perf_counter() - started,
    }
    metadata = origin(recipe, data) | {"curve": json.dumps([*curve, row])}
    write_whole(checkpoint_of(path), pack(model, averaged, optimizer, metadata))
    return [*curve, row]


def finish(data: DataSet, recipe: TeacherRecipe, path: Path, device: torch.device) -> None:
    """Write a teacher from its checkpoint (EMA weights) and, last, the log beside it; then drop the checkpoint."""
    checkpoint = checkpoint_of(path)
    curve = curve_of(path, recipe, data)
    teacher = Teacher(data.shape, data.classes, data.mean, data.std, recipe.widths)
    teacher.load_state_dict(averaged_weights(checkpoint.read_bytes()))
    save(teacher, path, recipe, data)
    about = {
        "recipe": asdict(recipe),
        "data": data.digest,
        "parameters": sum(p.numel() for p in teacher.parameters()),
        **accuracies([path], data, device),
        "curve": curve,
    }
    write_whole(path.with_suffix(".json"), json.dumps(about, indent=1) + "\n")
    checkpoint.unlink()


def is_finished(path: Path, recipe: TeacherRecipe, data: DataSet) -> bool:
    """Whether a teacher and its log are written; raises InputError when they are of another recipe or other data."""
    if not path.is_file():
        return False
    check_origin(path, recipe, data)
    return path.with_suffix(".json").is_file() and not checkpoint_of(path).is_file()


def accuracies(paths: Sequence[Path], data: DataSet, device: torch.device) -> dict[str, float]:
    """Validation and test accuracy of a stored teacher, or of several as one ensemble."""
    answer = open_teacher(TeacherSource(models=tuple(map(str, paths))), data, device)
    splits = {"validation_accuracy": data.validation, "test_accuracy": data.test}
    return {name: accuracy(answer, split, device) for name, split in splits.items()}


def half_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where it pays: on a GPU, and on a CPU with matrix tiles (AMX), else no change.

    By the hardware, not by a measurement at run time, so that the same machine gives the same teacher. A CPU with
    AVX-512 BF16 but no tiles took 289 ms a training step in bfloat16 and 253 ms in float32.
    """
    pays = device.type == "cuda" or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=pays)
