"""Teaching a teacher: one epoch at a time, from checkpoint to checkpoint, then its file and its log."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from kd.data.augmentation import augmented
from kd.data.dataset import DataSet, DataSource, equal_parts, load_once, values
from kd.environment import current
from kd.files import remove_drafts, write_whole
from kd.optim.checkpoint import averaged_weights, pack, unpack
from kd.optim.muon import optimizer_of
from kd.teachers.loading import open_teacher
from kd.teachers.log import TeacherLog, log_of
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
        threads: of the CPU.
        device: where.

    Returns:
        The learning curve so far.

    Raises:
        InputError: for a loss that is no number, or a checkpoint of another recipe.
    """
    started = time.perf_counter()
    data = load_once(source)
    curve = curve_of(path, recipe, data)
    epoch = len(curve)
    if epoch == recipe.epochs:  # this task had been done by a worker that died before it could say so
        return curve
    with _settings(threads):
        trainer = _new_trainer(recipe, data, torch.device(device), epoch)
        if curve:
            unpack(checkpoint_of(path).read_bytes(), trainer.teacher, trainer.averaged, trainer.optimizer)
        loss = trainer.train(epoch)
        if not math.isfinite(loss):
            raise InputError(f"loss is {loss} in epoch {epoch + 1} of {path}: lower --learning-rate")
        row = {
            "epoch": epoch + 1,
            "train_loss": loss,
            "validation_accuracy": accuracy(trainer.averaged, data.validation, trainer.device),
            "seconds": time.perf_counter() - started,
        }
    metadata = origin(recipe, data) | {"curve": json.dumps([*curve, row]), "threads": str(threads)}
    write_whole(checkpoint_of(path), pack(trainer.teacher, trainer.averaged, trainer.optimizer, metadata))
    return [*curve, row]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TeacherTrainer:
    """A teacher in training, on its device, and all that an epoch needs; `averaged` is what is evaluated and kept."""

    teacher: Teacher
    averaged: AveragedModel
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    recipe: TeacherRecipe
    data: DataSet
    device: torch.device

    def train(self, epoch: int) -> float:
        """Train for one epoch, counted from 0, and average; returns the mean loss."""
        torch.manual_seed(self.recipe.seed * 10_007 + epoch + 1)  # dropout's
        generator = torch.Generator(self.device).manual_seed(self.recipe.seed * 10_007 + epoch + 1)
        images, labels = self.data.train.images.to(self.device), self.data.train.labels.to(self.device)
        size, steps = _batches(self.recipe, self.data)
        total = torch.zeros((), device=self.device)
        self.teacher.train()
        order = torch.randperm(len(labels), generator=generator, device=self.device)
        for index in order[: steps * size].split(size):
            pixels = augmented(values(images[index]), self.data, self.recipe.augmentation, generator)
            with half_precision(self.device):
                logits = self.teacher(pixels)
            loss = functional.cross_entropy(logits.float(), labels[index])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            self.averaged.update_parameters(self.teacher)
            total += loss.detach()
            self.data.train.release()
        batches = (values(images[index]) for index in equal_parts(order[:10_240], 512))
        moved = (augmented(batch, self.data, self.recipe.augmentation, generator) for batch in batches)
        update_bn(moved, self.averaged, self.device)
        self.averaged.eval()
        return float(total) / steps


def _new_trainer(recipe: TeacherRecipe, data: DataSet, device: torch.device, epoch: int) -> TeacherTrainer:
    """A teacher with its first weights, and its schedule as it is at the beginning of an epoch, counted from 0."""
    torch.manual_seed(recipe.seed)
    teacher = Teacher(data.shape, data.classes, data.mean, data.std, recipe.widths, recipe.dropout)
    teacher.to(device).to(memory_format=torch.channels_last)
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(teacher.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, foreach=True)
        if recipe.optimizer == "adamw"  # the schedule moves its momentum, too
        else optimizer_of(teacher, recipe.optimizer, recipe.learning_rate, recipe.weight_decay)
    )
    _, steps = _batches(recipe, data)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        total_steps=max(5, recipe.epochs * steps),  # torch divides by zero where a quarter of them is one
        pct_start=0.25,
        cycle_momentum=recipe.optimizer == "adamw",
    )
    optimizer.step()  # changes nothing without gradients, yet the schedule wants to come after it
    for _ in range(epoch * steps):
        schedule.step()
    return TeacherTrainer(
        teacher=teacher,
        averaged=AveragedModel(teacher, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)),
        optimizer=optimizer,
        schedule=schedule,
        recipe=recipe,
        data=data,
        device=device,
    )


def _batches(recipe: TeacherRecipe, data: DataSet) -> tuple[int, int]:
    """Samples a batch and whole batches an epoch."""
    size = min(recipe.batch, len(data.train.labels))
    return size, len(data.train.labels) // size


@contextmanager
def _settings(threads: int) -> Iterator[None]:
    """So many threads, and random numbers that the process gets back as they were."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)


def finish(data: DataSet, recipe: TeacherRecipe, path: Path, device: torch.device) -> None:
    """Write a teacher from its checkpoint (EMA weights) and, last, the log beside it; then drop the checkpoint."""
    checkpoint = checkpoint_of(path)
    metadata = check_origin(checkpoint, recipe, data)
    teacher = Teacher(data.shape, data.classes, data.mean, data.std, recipe.widths)
    teacher.load_state_dict(averaged_weights(checkpoint.read_bytes()))
    save(teacher, path, recipe, data)
    validation, test = accuracies([path], data, device)
    log = TeacherLog(
        data=data.digest,
        parameters=sum(p.numel() for p in teacher.parameters()),
        recipe=asdict(recipe),
        curve=tuple(json.loads(metadata["curve"])),
        environment=current(str(device), int(metadata["threads"])),
        validation_accuracy=validation,
        test_accuracy=test,
    )
    log.write(path)
    checkpoint.unlink()
    remove_drafts(checkpoint)


def is_finished(path: Path, recipe: TeacherRecipe, data: DataSet) -> bool:
    """Whether a teacher and its log are written; raises InputError when they are of another recipe or other data."""
    if not path.is_file():
        return False
    check_origin(path, recipe, data)
    return log_of(path).is_file() and not checkpoint_of(path).is_file()


def accuracies(paths: Sequence[Path], data: DataSet, device: torch.device) -> tuple[float, float]:
    """Validation and test accuracy of a stored teacher, or of several as one ensemble."""
    logits = open_teacher(TeacherSource(models=tuple(map(str, paths))), data, device)
    return accuracy(logits, data.validation, device), accuracy(logits, data.test, device)


def half_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where it pays: on a GPU, and on a CPU with matrix tiles (AMX), else no change.

    By the hardware, not by a measurement at run time, so that the same machine gives the same teacher. A CPU with
    AVX-512 BF16 but no tiles took 289 ms a training step in bfloat16 and 253 ms in float32.
    """
    pays = device.type == "cuda" or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=pays)
