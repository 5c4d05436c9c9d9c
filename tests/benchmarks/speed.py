"""Training speed of our loop against the one a user would write by hand: python tests/benchmarks/speed.py.

Both distil the same five students from the shipped teacher on all cores of this machine, student by student.
By hand: torchvision transforms on PIL images, a DataLoader with a worker a core, the teacher's forward pass in every
batch. Ours: rung tasks on the engine, one a core, evaluation included. Views are made once for all students of all
studies; what that takes is printed too, and how it compares with the teacher's forward pass alone. The last column is
the time of a distilled rung over that of the same rung on hard labels.
"""

import math
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from students import STUDENTS
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from kd.data.augmentation import Augmentation
from kd.data.dataset import DataSet, DataSource, load, values
from kd.distil.train import RungTask, train_rung
from kd.distil.views import BATCH, ViewSource, make_view, open_view, view_source
from kd.losses import logits as losses
from kd.optim.recipe import Loss, Recipe
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource
from search.engine.dask import DaskEngine
from space.architecture import Architecture
from space.network import build

RECIPE = Recipe(views=1)
LOSSES: tuple[Loss, Loss] = ("kl", "hard")
BY_HAND = 7_680
"""Images that the loop by hand is timed over."""


class Images(Dataset[tuple[torch.Tensor, int]]):
    """MNIST as torchvision would give it: a PIL image, transformed, and its label."""

    def __init__(self, data: DataSet, policy: Augmentation) -> None:
        self.images, self.labels = data.train.images[:, 0].numpy(), data.train.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomAffine(
                    policy.rotation,
                    (policy.shift, policy.shift),
                    (1 - policy.scale, 1 + policy.scale),
                    policy.shear,
                    transforms.InterpolationMode.BILINEAR,
                ),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return BY_HAND + RECIPE.batch

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def by_hand(architecture: Architecture, data: DataSet) -> float:
    """Images a second of the loop a user would write."""
    teacher = teachers.load(teachers.shipped("mnist"), torch.device("cpu"))
    student = build(architecture)
    optimizer = torch.optim.AdamW(student.parameters(), lr=RECIPE.learning_rate)
    loader = DataLoader(Images(data, RECIPE.augmentation), RECIPE.batch, shuffle=True, num_workers=os.cpu_count() or 1)
    mean, std = data.moments()
    started, seen = math.nan, -RECIPE.batch
    for pixels, labels in loader:
        with torch.no_grad():
            answers = teacher(pixels)
        loss = losses.total(student((pixels - mean) / std), answers, labels, RECIPE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if seen < 0:
            started = time.perf_counter()  # the workers have started
        seen += len(labels)
    return seen / (time.perf_counter() - started)


def ours(architecture: Architecture, engine: DaskEngine, views: ViewSource, images: int, epochs: float) -> float:
    """Images a second of rung tasks of some epochs of `images`, one a core."""
    started = time.perf_counter()
    for seed in range(engine.slots):
        task = RungTask(architecture=architecture, recipe=RECIPE, seed=seed, start=0, stop=epochs, views=views)
        engine.submit(seed, train_rung, task)
    while engine.tickets:
        for _, result in engine.finished(1.0):
            if isinstance(result, Exception):
                raise result
    return images * epochs * engine.slots / (time.perf_counter() - started)


def teacher_cost(architecture: Architecture, views: ViewSource, epochs: float, repeats: int = 9) -> float:
    """Median over pairs of the time of a distilled rung of some epochs over that of the same rung on hard labels."""
    ratios = []
    for repeat in range(repeats):
        seconds = {}
        for loss in LOSSES if repeat % 2 else reversed(LOSSES):
            recipe = Recipe(views=1, loss=loss)
            task = RungTask(architecture=architecture, recipe=recipe, seed=0, start=0, stop=epochs, views=views)
            seconds[loss] = train_rung(task).seconds
        ratios.append(seconds["kl"] / seconds["hard"])
    return statistics.median(ratios)


@contextmanager
def single_thread() -> Iterator[None]:
    """PyTorch on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def views_over_bare(folder: Path, repeats: int = 5) -> float:
    """Median over pairs of the time of a view over that of the teacher's forward pass on the same batches, one core."""
    data = load(DataSource(validation=50_000))
    teacher = teachers.load(teachers.shipped("mnist"), torch.device("cpu"))
    views = view_source(folder, data, TeacherSource(), RECIPE.augmentation)
    ratios = []
    for repeat in range(repeats):
        started = time.perf_counter()
        make_view(views, repeat, "cpu")
        made = time.perf_counter()
        with torch.no_grad():
            for images in open_view(views, repeat).images.split(BATCH):
                teacher(values(images))
        ratios.append((made - started) / (time.perf_counter() - made))
    return statistics.median(ratios)


def main() -> None:
    console = Console()
    data = load(DataSource())
    with tempfile.TemporaryDirectory() as folder:
        with single_thread():
            over_bare = views_over_bare(Path(folder))
        views = view_source(Path(folder), data, TeacherSource(), RECIPE.augmentation)
        with DaskEngine() as engine:
            cores = engine.slots
            started = time.perf_counter()
            for index in range(cores):
                engine.submit(index, make_view, views, index, "cpu")
            while engine.tickets:
                engine.finished(1.0)
            made = len(data.train.labels) * cores / (time.perf_counter() - started)
        table = Table("family", "parameters", "by hand, images/s", "ours, images/s", "ratio", "distilled / hard")
        ratios, costs = [], []
        for student in STUDENTS:
            hand = by_hand(student, data)
            with DaskEngine() as engine:
                ours(student, engine, views, len(data.train.labels), 0.05)  # workers import torch and load the data
                fast = ours(student, engine, views, len(data.train.labels), 1)
            with single_thread():  # rungs of about two seconds
                cost = teacher_cost(student, views, 2 * fast / cores / len(data.train.labels))
            ratios.append(fast / hand)
            costs.append(cost)
            table.add_row(
                student.family,
                f"{student.cost().parameters:,}",
                f"{hand:,.0f}",
                f"{fast:,.0f}",
                f"{fast / hand:.1f}",
                f"{cost:.3f}",
            )
            console.print(f"{student.family}: {fast / hand:.1f} times")
    console.print(table)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    console.print(f"geometric mean of the ratio: {mean:.1f}; of distilled / hard: {sum(costs) / len(costs):.3f}")
    console.print(f"views are made at {made:,.0f} images/s, once for all students")
    console.print(f"a view takes {over_bare:.2f} times the teacher's forward pass alone")


if __name__ == "__main__":
    main()
