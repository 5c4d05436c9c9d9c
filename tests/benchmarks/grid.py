"""Long measurements in small parts: finished ones are kept in a CSV file, a later call goes on with the rest."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from kd.device import pick
from kd.distil.train import RungResult, RungTask, train_rung
from kd.distil.views import ViewSource, make_view, missing
from kd.optim.recipe import Recipe
from search.engine.dask import DaskEngine
from space.architecture import Architecture

Row = dict[str, Any]


def gathered(jobs: Mapping[str, tuple[Any, ...]], function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Run `function` with the arguments of every job, one process a core; names and results as they end."""
    waiting, console = deque(jobs), Console()
    if not waiting:
        return
    with DaskEngine() as engine:
        while waiting or engine.tickets:
            while waiting and engine.free > 0:
                name = waiting.popleft()
                engine.submit(name, function, *jobs[name])
            for ticket, result in engine.finished(1.0):
                if isinstance(result, Exception):
                    raise result
                yield str(ticket), result
                left = len(waiting) + len(engine.tickets)
                console.print(f"{len(jobs) - left} of {len(jobs)}: {ticket}", highlight=False)


def filled(path: Path, jobs: Mapping[str, tuple[Any, ...]], measure: Callable[..., list[Row]]) -> pd.DataFrame:
    """The rows of all jobs; those that the file lacks are measured and appended as they end.

    Args:
        path: the CSV file; its column "job" names the job of a row.
        jobs: the arguments of `measure` by the job's name, in the order they are to be started.
        measure: runs on a worker and gives the rows of a job.
    """
    known = set(pd.read_csv(path)["job"]) if path.is_file() else set()
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, result in gathered({name: job for name, job in jobs.items() if name not in known}, measure):
        rows = pd.DataFrame([{"job": name, **row} for row in result])
        rows.to_csv(path, mode="a", header=not path.is_file(), index=False)
    table = pd.read_csv(path)
    return table[table["job"].isin(list(jobs))]


def trained(student: Architecture, recipe: Recipe, seed: int, views: ViewSource) -> RungResult:
    """Train a student from its first weights to the end of a recipe."""
    task = RungTask(
        architecture=student, recipe=recipe, seed=seed, start=0, stop=recipe.epochs, views=views, device=pick("auto")
    )
    result = train_rung(task)
    if result.failure:
        raise RuntimeError(f"{student.digest}: {result.failure}")
    return result


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its first line is the header."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rest))


def make_views(uses: Iterable[tuple[ViewSource, Recipe]]) -> None:
    """Write the views that recipes need and that are missing."""
    lacking = dict.fromkeys(view for views, recipe in uses for view in missing(views, recipe))
    list(gathered({f"view {views.view(index)}": (views, index, pick("auto")) for views, index in lacking}, make_view))
