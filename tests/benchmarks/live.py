"""Strategies compared on real trainings: python tests/benchmarks/live.py [--data mnist-1d] [--seeds 5]

As in `replay.py`, but every rung is trained. A study may take as many epochs as `STUDENTS` whole trainings do, and is
worth the hypervolume of its front by measured validation errors. Studies are kept in `reports/evidence/live-DATA.csv`,
a call goes on with those that it lacks; one that was interrupted begins anew.
"""

import shutil
from pathlib import Path
from typing import Annotated

import pandas as pd
import replay
import typer
from grid import Row, filled, make_views
from replay import WORST, Spending, after, searched, settings_of

from kd.data.augmentation import default_policy
from kd.data.dataset import DataSource, load
from kd.distil.train import train_rung
from kd.distil.views import view_source
from kd.optim.recipe import Recipe
from kd.teachers.source import TeacherSource
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory

STUDENTS = 20
POINTS = (2, 3, 5, 7, 10, 15, 20)
STRATEGIES = ("random, no pruning", "tpe, no pruning", "predictor")
FOLDER = Path("runs/live")


def config_of(data: str, strategy: str, seed: int) -> Config:
    """The study of a strategy."""
    return Config(
        data=DataSource(name=data),
        teacher=TeacherSource(models=(data,)),
        recipe=Recipe(batch=128, views=8, augmentation=default_policy(data)),
        search=settings_of(data, strategy, seed),
    )


def live(data: str, strategy: str, seed: int) -> list[Row]:
    """Search with real trainings; hypervolumes after so many whole trainings' epochs."""
    config = config_of(data, strategy, seed)
    last = config.search.rungs[-1]
    directory = RunDirectory(root=FOLDER, name=f"{data}-{strategy.replace(', ', '-').replace(' ', '-')}-{seed}")
    shutil.rmtree(directory.path, ignore_errors=True)
    spending = Spending(train_rung, last, STUDENTS * last)
    records = searched(config, spending, directory)
    values = after(
        spending, records, [p * last for p in POINTS], lambda r: max(1 - (r.accuracy or 0), 1e-4), WORST[data]
    )
    students = len(records) - sum(record.outcome in ("rejected", "duplicate") for record in records)
    return [
        {"strategy": strategy, "seed": seed, "students": students, **dict(zip(map(str, POINTS), values, strict=True))}
    ]


def table(results: pd.DataFrame) -> str:
    """Markdown, as that of replays, with how many students were begun."""
    return replay.table(results, POINTS, more=("students",))


def main(
    data: str = "mnist-1d",
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    strategy: Annotated[list[str] | None, typer.Option(help="One of those that are compared; again for more.")] = None,
) -> None:
    """Run the studies that are missing, then print the comparison."""
    chosen = strategy or list(STRATEGIES)
    config = config_of(data, chosen[0], 0)
    make_views(
        [(view_source(FOLDER / ".views", load(data), config.teacher, config.recipe.augmentation), config.recipe)]
    )
    path = Path(f"reports/evidence/live-{data}.csv")
    filled(path, {f"{name} {seed}": (data, name, seed) for seed in range(seeds) for name in chosen}, live)
    print(table(pd.read_csv(path)))


if __name__ == "__main__":
    typer.run(main)
