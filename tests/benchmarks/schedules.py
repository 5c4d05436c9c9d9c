"""Does a rung rank students as a long training does? python tests/benchmarks/schedules.py

Random students of all families are trained for a long cosine schedule, and for rungs on four kinds of schedule:

- constant: averaged weights on a constant rate, each rung going on from the one before;
- decay: warm-up, stable, decay (Hu et al. 2024, MiniCPM, section 4): the last fifth of every rung decays to 0, the next
  rung goes on from the state before the decay;
- cycle: every rung from scratch on a cosine schedule of its own;
- free: schedule-free AdamW (Defazio et al. 2024), each rung going on from the one before.

Printed are Spearman's rank correlations of validation accuracy and of validation loss at a rung with the validation
accuracy of the long training, and the seconds that all rungs up to this one took. Results are kept in
`reports/evidence/schedules.csv`, so a call goes on where the last one stopped.
"""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from grid import Row, filled, make_views, markdown
from schedulefree import AdamWScheduleFree
from scipy.stats import spearmanr
from torch import nn
from torch.optim.swa_utils import update_bn

from kd.data.dataset import DataSet, DataSource, load
from kd.distil.train import CALIBRATION, RungResult, RungTask, train_rung
from kd.distil.views import View, ViewSource, open_view, view_source
from kd.losses import logits as losses
from kd.optim.recipe import Recipe
from kd.students.evaluate import evaluate, normalise
from kd.teachers.source import TeacherSource
from space.architecture import FAMILIES, Architecture
from space.budget import Budget
from space.network import build
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial

STUDENTS = 25
RUNGS = (0.5, 1, 3)
LONG = 12
DECAY = 0.2
RECIPE = Recipe(epochs=RUNGS[-1], warmup=0.1, batch=128, views=8)
BUDGET = Budget(memory_bytes=8_000, macs=250_000)
RESULTS = Path("reports/evidence/schedules.csv")
CACHE = Path("runs/.views")


@dataclass(frozen=True, slots=True, kw_only=True)
class Falling(Recipe):
    """A recipe whose rate falls to 0 from `begin` to `end` (epochs), in a straight line or along a cosine."""

    begin: float
    end: float
    cosine: bool

    def learning_rate_at(self, epoch: float) -> float:
        if epoch < self.begin:
            return self.learning_rate * epoch / self.begin
        progress = (epoch - self.begin) / (self.end - self.begin)
        return self.learning_rate * (0.5 + 0.5 * math.cos(math.pi * progress) if self.cosine else 1 - progress)


def falling(begin: float, end: float, cosine: bool) -> Falling:
    return Falling(batch=RECIPE.batch, views=RECIPE.views, begin=begin, end=end, cosine=cosine)


def drawn() -> list[Architecture]:
    """Random students, the families taking turns."""
    generator, domain = random.Random(0), Domain(smallest=1_000, budget=BUDGET)
    found: list[Architecture] = []
    while len(found) < STUDENTS:
        family = FAMILIES[len(found) % len(FAMILIES)]
        student = suggest(RandomTrial(generator, {"family": family}), domain, (1, 28, 28), 10)
        if BUDGET.rejection_reason(student) is None:
            found.append(student)
    return found


def row(student: Architecture, schedule: str, epochs: float, accuracy: float, loss: float, seconds: float) -> Row:
    return {
        "student": student.digest,
        "family": student.family,
        "parameters": student.cost().parameters,
        "schedule": schedule,
        "epochs": epochs,
        "accuracy": accuracy,
        "loss": loss,
        "seconds": round(seconds, 2),
    }


def trained(
    student: Architecture, recipe: Recipe, start: float, stop: float, source: ViewSource, state: bytes | None = None
) -> RungResult:
    task = RungTask(architecture=student, recipe=recipe, seed=0, start=start, stop=stop, views=source)
    return train_rung(task, state)


def measure(student: Architecture, schedule: str, source: ViewSource) -> list[Row]:
    """Train a student on a schedule; a row a rung."""
    if schedule == "free":
        return schedule_free(student, source)
    rows, seconds = [], 0.0
    start, state = 0.0, None
    for rung in (LONG,) if schedule == "long" else RUNGS:
        match schedule:
            case "constant":
                result = trained(student, RECIPE, start, rung, source, state)
                start, state = rung, result.checkpoint
            case "decay":
                stable = trained(student, RECIPE, start, (1 - DECAY) * rung, source, state)
                start, state = (1 - DECAY) * rung, stable.checkpoint
                seconds += stable.seconds
                result = trained(student, falling(start, rung, cosine=False), start, rung, source, state)
            case _:
                recipe = falling(min(1, 0.3 * rung), rung, cosine=True)
                result = trained(student, recipe, 0, rung, source)
        seconds += result.seconds
        last = result.curve[-1]
        rows.append(row(student, schedule, rung, last.validation_accuracy, last.validation_loss, seconds))
    return rows


def schedule_free(student: Architecture, source: ViewSource) -> list[Row]:
    """The same with the schedule-free optimizer, whose averaged weights are the ones evaluated."""
    torch.set_num_threads(1)
    data, place = load(source.data), torch.device("cpu")
    torch.manual_seed(0)
    model = build(student).to(memory_format=torch.channels_last)
    steps = round(RECIPE.warmup * RECIPE.epochs * len(data.train.labels) / RECIPE.batch)
    optimizer = AdamWScheduleFree(
        model.parameters(), lr=RECIPE.learning_rate, weight_decay=RECIPE.weight_decay, warmup_steps=steps
    )
    rows, started, start = [], time.perf_counter(), 0.0
    for rung in RUNGS:
        for epoch in range(int(start), int(np.ceil(rung))):
            optimizer.train()
            view = open_view(source, epoch % RECIPE.views)
            train_part(model, optimizer, view, data, (max(start, epoch), min(rung, epoch + 1)))
        optimizer.eval()
        calibration = (normalise(images, data, place) for images in view.images[:CALIBRATION].split(512))
        update_bn(calibration, model)
        found = evaluate(model, data.validation, data, place)
        accuracy, loss = found.accuracy, found.loss
        rows.append(row(student, "free", rung, accuracy, loss, time.perf_counter() - started))
        start = rung
    return rows


def train_part(
    model: nn.Module, optimizer: AdamWScheduleFree, view: View, data: DataSet, part: tuple[float, float]
) -> None:
    """Train between two moments of one epoch, on the batches that a rung task takes there; the optimizer warms up."""
    begin, end = part
    epoch, count = int(begin), len(view.labels) // RECIPE.batch
    order = torch.randperm(count, generator=torch.Generator().manual_seed(epoch)).tolist()
    model.train()
    for place in order[round((begin - epoch) * count) : round((end - epoch) * count)]:
        batch = slice(place * RECIPE.batch, (place + 1) * RECIPE.batch)
        output = model(normalise(view.images[batch], data, torch.device("cpu")))
        optimizer.zero_grad()
        losses.total(output, view.logits[batch].float(), view.labels[batch], RECIPE).backward()
        optimizer.step()


def made_views() -> ViewSource:
    """The views of MNIST under `runs`, made if they are missing."""
    data = load(DataSource())
    source = view_source(CACHE.resolve(), data, TeacherSource(), RECIPE.augmentation)
    make_views([(source, replace(RECIPE, epochs=LONG))])
    return source


def correlation(measured: Sequence[float], accuracies: Sequence[float]) -> str:
    """Spearman's rank correlation and its standard deviation over resampled students."""
    a, b, generator = np.asarray(measured), np.asarray(accuracies), np.random.default_rng(0)
    samples = [generator.integers(0, len(a), len(a)) for _ in range(500)]
    spread = np.std([spearmanr(a[sample], b[sample]).statistic for sample in samples])
    return f"{spearmanr(a, b).statistic:.3f} ± {spread:.3f}"


def table(results: pd.DataFrame) -> str:
    """Markdown: a row a schedule and rung."""
    accuracies = results[results["schedule"] == "long"].set_index("student")["accuracy"]
    upper = accuracies.index[accuracies > accuracies.median()]
    measures = "by accuracy", "by loss", "by accuracy, upper half", "by loss, upper half"
    lines = [["schedule", "epochs", "seconds a student", *measures]]
    for (schedule, epochs), rows in results[results["schedule"] != "long"].groupby(["schedule", "epochs"], sort=False):
        rows = rows.set_index("student")
        cells = []
        for chosen in (accuracies.index, upper):
            long = accuracies[chosen].tolist()
            cells.append(correlation(rows.loc[chosen, "accuracy"].tolist(), long))
            cells.append(correlation((-rows.loc[chosen, "loss"]).tolist(), long))
        lines.append([str(schedule), f"{epochs:g}", f"{rows['seconds'].mean():.1f}", *cells])
    return markdown(lines)


def main() -> None:
    students, source = drawn(), made_views()
    jobs = {
        f"{schedule} {student.digest}": (student, schedule, source)
        for schedule in ("long", "constant", "cycle", "decay", "free")
        for student in sorted(students, key=lambda s: -s.cost().macs)
    }
    results = filled(RESULTS, jobs, measure)
    print(f"rank correlation with {LONG} epochs, {results['student'].nunique()} students\n\n{table(results)}")


if __name__ == "__main__":
    main()
