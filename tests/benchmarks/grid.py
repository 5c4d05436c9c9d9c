"""Long measurements in small parts: finished ones are kept in a CSV file, a later call goes on with the rest."""

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from search.engine import Engine

Row = dict[str, Any]


def filled(path: Path, jobs: Mapping[str, tuple[Any, ...]], measure: Callable[..., list[Row]]) -> pd.DataFrame:
    """The rows of all jobs; those that the file lacks are measured, one process a core, and appended as they end.

    Args:
        path: the CSV file; its column "job" names the job of a row.
        jobs: the arguments of `measure` by the job's name, in the order they are to be started.
        measure: runs on a worker and gives the rows of a job.
    """
    known = set(pd.read_csv(path)["job"]) if path.is_file() else set()
    waiting = deque(name for name in jobs if name not in known)
    console, total = Console(), len(waiting)
    if waiting:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Engine() as engine:
            while waiting or engine.tickets:
                while waiting and engine.free > 0:
                    name = waiting.popleft()
                    engine.submit(name, measure, *jobs[name])
                for ticket, result in engine.finished(1.0):
                    if isinstance(result, Exception):
                        raise result
                    rows = pd.DataFrame([{"job": ticket, **row} for row in result])
                    rows.to_csv(path, mode="a", header=not path.is_file(), index=False)
                    left = len(waiting) + len(engine.tickets)
                    console.print(f"{total - left} of {total}: {ticket}", highlight=False)
    table = pd.read_csv(path)
    return table[table["job"].isin(list(jobs))]
