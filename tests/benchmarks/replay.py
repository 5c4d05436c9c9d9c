"""Which strategy finds more for the same training? python tests/benchmarks/replay.py DATA [--seeds 50]

Whole studies are replayed with the real driver, sampler and pruner on what the table of `DATA` predicts
(`surrogate.py`). A study is worth the hypervolume of the front that it would retrain, over the decimal logarithms of
the true error (the mean over seeds, not the one that was measured) and of the parameters. It is printed after as many
training images as so many whole trainings take, with how many it takes to reach what random search without pruning
has after `STUDENTS`, and drawn as `reports/evidence/replays-DATA.svg`. Replays are kept in `replays-DATA.csv` there, a
call goes on with those that it lacks.

Whatever learns from tables never sees that of `DATA`: "no prior" knows none at all.
"""

import contextlib
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import optuna
import pandas as pd
import plotly.graph_objects as go
import typer
from grid import Row, filled, markdown
from rich.console import Console
from sqlalchemy import Engine, event
from surrogate import SAMPLES, Surrogate

from kd.data.dataset import DataSource, load_once
from kd.distil.train import RungResult, RungTask
from kd.teachers.source import TeacherSource
from reports.figures.static import picture
from reports.figures.theme import SEQUENCE, SYMBOLS, empty_figure
from search.driver import search
from search.engine.fake import FakeEngine
from search.progress import Progress
from search.session import Session
from studies.configuration.config import Config, Search
from studies.history import History
from studies.records import TrialRecord
from studies.storage.directory import RunDirectory
from studies.store import create, opened

STUDENTS = 100
"""Whole trainings that a replay may take as many images as."""

LEARNERS = 33
"""The same for one that learns, whose suggestions take most of a replay's time: its bars lie below."""

POINTS = (5, 10, 15, 20, 25, 33, 50, 75, 100)
"""Whole trainings after which hypervolumes are kept."""

LARGEST = 10_000
RUNGS = {"mnist-1d": (5.0, 15.0, 45.0)}
OTHER_RUNGS = (0.25, 0.5, 1.0, 3.0, 9.0)
WORST = {"mnist-1d": 0.5, "mnist": 0.1, "fashion-mnist": 0.3}
"""Error that a student must stay under to count."""

STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "random, no pruning": {"sampler": "random", "pruner": "none"},
    "random": {"sampler": "random"},
    "random, peers": {"sampler": "random", "pruner": "peers"},
    "random, extrapolation": {"sampler": "random", "pruner": "extrapolation"},
    "tpe, no pruning": {"sampler": "tpe", "pruner": "none"},
    "tpe": {"sampler": "tpe"},
    "nsga2, no pruning": {"sampler": "nsga2", "pruner": "none"},
    "evolution": {"sampler": "evolution"},
    "predictor, no prior, no pruning": {"prior": (), "pruner": "none"},
    "predictor, no prior, extrapolation": {"prior": (), "pruner": "extrapolation"},
    "predictor, no prior": {"prior": ()},
    "predictor, no pruning": {"pruner": "none"},
    "predictor, extrapolation": {"pruner": "extrapolation"},
    "predictor": {},
}

PICTURED = (
    "random, no pruning",
    "nsga2, no pruning",
    "tpe, no pruning",
    "random",
    "predictor, no prior",
    "predictor",
)
"""Strategies that are drawn."""


def _without_waiting_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


Simulate = Callable[[RungTask, bytes | None], RungResult]


class Spending:
    """Does rung tasks by a function, counts their epochs, and ends the study when they are used.

    `finished` holds the epochs spent and the digest, for every student that reached the epoch `last`.
    """

    def __init__(self, simulate: Simulate, last: float, most: float) -> None:
        """Spend at most `most` epochs, but for what the last task takes."""
        self._simulate, self._last, self._most = simulate, last, most
        self.epochs = 0.0
        self.finished: list[tuple[float, str]] = []

    def __call__(self, task: RungTask, checkpoint: bytes | None) -> RungResult:
        """Do a task."""
        if self.epochs >= self._most:
            raise KeyboardInterrupt  # as a user ends a study
        self.epochs += task.stop - task.start
        if task.stop == self._last:
            self.finished.append((self.epochs, task.architecture.digest))
        return self._simulate(task, checkpoint)


def searched(config: Config, spending: Spending, directory: RunDirectory) -> list[TrialRecord]:
    """The trials of a search with one worker, this process, that ends when its epochs are spent."""
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    event.listen(Engine, "connect", _without_waiting_for_the_disk)
    create(directory, config)
    engine = FakeEngine(spending)
    with (
        open(os.devnull, "w") as nowhere,
        opened(directory, load_once(config.data)) as store,
        Progress(Console(file=nowhere), store, engine) as progress,
    ):
        session = Session(store=store, engine=engine, device="cpu", progress=progress, started=0.0, clock=engine.clock)
        with contextlib.suppress(KeyboardInterrupt):
            search(session)
        return History(store).trials


def hypervolume(points: Sequence[tuple[float, float]], worst: float) -> float:
    """Area between a front of (parameters, error) and the corner (`LARGEST`, `worst`), in decimal logarithms."""
    area, best = 0.0, math.log10(worst)
    for parameters, error in sorted(points):
        if (height := math.log10(error)) < best and parameters < LARGEST:
            area += (best - height) * math.log10(LARGEST / parameters)
            best = height
    return area


def valued(finished: Sequence[TrialRecord], error: Callable[[TrialRecord], float], worst: float) -> float:
    """Hypervolume of the true errors of the students on the measured front."""
    best, points = -1.0, []
    for record in sorted(finished, key=lambda record: record.cost.parameters):
        if (record.merit or 0) > best:
            best = record.merit or 0
            points.append((float(record.cost.parameters), min(max(error(record), 1e-4), 1.0)))
    return hypervolume(points, worst)


def settings_of(name: str, strategy: str, seed: int) -> Search:
    """The search of a strategy on a data set."""
    rungs = RUNGS.get(name, OTHER_RUNGS)
    settings: dict[str, Any] = {"trials": 5_000, "rungs": rungs, "seed": seed, "floor": 1 - WORST[name]}
    return Search(**(settings | dict(STRATEGIES[strategy])))


def replay(name: str, strategy: str, seed: int) -> list[Row]:
    """Replay a study; its hypervolume after so many whole trainings' images."""
    surrogate, settings = _surrogate(name), settings_of(name, strategy, seed)
    last = settings.rungs[-1]
    config = Config(data=DataSource(name=name), teacher=TeacherSource(models=(name,)), search=settings)
    most = LEARNERS if strategy.startswith("predictor") else STUDENTS
    spending = Spending(surrogate, last, most * last)
    with tempfile.TemporaryDirectory() as folder:
        records = searched(config, spending, RunDirectory(root=Path(folder), name="replay"))

    def error(record: TrialRecord) -> float:
        return float(10 ** surrogate.curve(record.architecture, None)[len(surrogate.epochs) - 1])

    values = after(spending, records, [point * last for point in POINTS], error, WORST[name])
    known = {str(point): value if point <= most else None for point, value in zip(POINTS, values, strict=True)}
    return [{"strategy": strategy, "seed": seed, **known}]


def after(
    spending: Spending,
    records: Sequence[TrialRecord],
    epochs: Sequence[float],
    error: Callable[[TrialRecord], float],
    worst: float,
) -> list[float]:
    """Value of a study after some numbers of epochs."""
    found = {record.architecture.digest: record for record in reversed(records)}
    finished = [(spent, found[digest]) for spent, digest in spending.finished if found[digest].merit]
    return [round(valued([r for spent, r in finished if spent <= most], error, worst), 4) for most in epochs]


_SURROGATES: dict[str, Surrogate] = {}


def _surrogate(name: str) -> Surrogate:
    """A worker's surrogate, learnt once."""
    if name not in _SURROGATES:
        _SURROGATES[name] = Surrogate(name, SAMPLES[name])
    return _SURROGATES[name]


def reached(means: np.ndarray[Any, Any], level: float, points: Sequence[int]) -> str:
    """Whole trainings after which mean hypervolumes reach a level, between the points on a straight line."""
    values = np.maximum.accumulate([0.0, *means[~np.isnan(means)]])
    places = (0, *points)[: len(values)]
    return f"{np.interp(level, values, places):.0f}" if values[-1] >= level else f"> {places[-1]}"


def table(results: pd.DataFrame, points: Sequence[int] = POINTS, more: Sequence[str] = ()) -> str:
    """Markdown: a row a strategy, hypervolumes after so many whole trainings (mean ± sd), means of `more` columns."""
    columns = [str(point) for point in points]
    level = results[results["strategy"] == "random, no pruning"][columns[-1]].mean()
    lines = [["strategy", "n", *more, *columns, f"to {level:.2f}"]]
    for name in (name for name in STRATEGIES if name in set(results["strategy"])):
        rows = results[results["strategy"] == name]
        means, spreads = rows[columns].mean(), rows[columns].std()
        cells = ["–" if math.isnan(means[c]) else f"{means[c]:.2f} ± {spreads[c]:.2f}" for c in columns]
        cells = [cell.removesuffix(" ± nan") for cell in cells]
        counts = [str(len(rows)), *(f"{rows[c].mean():.0f}" for c in more)]
        lines.append([name, *counts, *cells, reached(means.to_numpy(), level, points)])
    return markdown(lines)


def figure(results: pd.DataFrame) -> go.Figure:
    """Hypervolume over whole trainings, a line a strategy, its bars the standard deviation of replays."""
    drawn, columns = empty_figure(560), [str(point) for point in POINTS]
    for index, name in enumerate(name for name in PICTURED if name in set(results["strategy"])):
        rows = results[results["strategy"] == name][columns]
        means, spreads = rows.mean().dropna(), rows.std().fillna(0)
        drawn.add_scatter(
            x=list(POINTS[: len(means)]),
            y=means.to_list(),
            error_y={"type": "data", "array": spreads.to_list()[: len(means)]},
            mode="lines+markers",
            line={"color": SEQUENCE[index]},
            marker={"symbol": SYMBOLS[index], "color": SEQUENCE[index]},
            name=f"{name} (n = {len(rows)})",
        )
    return drawn.update_layout(
        xaxis={"title": {"text": "whole trainings' images"}, "type": "log", "tickvals": list(POINTS)},
        yaxis={"title": {"text": "hypervolume (log error × log parameters)"}},
    )


def main(
    data: str,
    seeds: Annotated[int, typer.Option(min=1)] = 50,
    strategy: Annotated[list[str] | None, typer.Option(help="One of those that are compared; again for more.")] = None,
) -> None:
    """Replay what is missing, then print the comparison."""
    chosen = strategy or list(STRATEGIES)
    jobs = {f"{name} {seed}": (data, name, seed) for seed in range(seeds) for name in chosen}
    path = Path(f"reports/evidence/replays-{data}.csv")
    filled(path, jobs, replay)
    results = pd.read_csv(path)
    path.with_suffix(".svg").write_bytes(picture(figure(results)))
    print(table(results))


if __name__ == "__main__":
    typer.run(main)
