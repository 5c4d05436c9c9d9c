"""What a prior is worth before anything is trained: python tests/benchmarks/proposals.py DATA [--draws N].

For each of four sizes a student is drawn at random, chosen as the most promising of 256 draws, or by the sampler as it
is, whose most promising have children; "by hand" are shipped students. Who chooses has seen no student of `DATA` (mnist
or fashion-mnist), but the table of the other data set. All are retrained by the recipe of `mnist-quick`, one seed each.

Results are kept in `reports/evidence/proposals-DATA.csv`, so a call goes on where the last one stopped. Printed is a
Markdown table of validation accuracies (per cent, mean ± sd over draws).
"""

import tempfile
from pathlib import Path
from typing import Annotated

import optuna
import pandas as pd
import typer
from grid import Row, filled, make_views, markdown, trained

from kd.data.dataset import load_once
from kd.distil.views import ViewSource, view_source
from search.samplers import guided
from search.samplers.sampler import draw, make_sampler
from space.architecture import Architecture
from studies.configuration.config import Config
from studies.configuration.file import read
from studies.history import History
from studies.shipped import find
from studies.storage.directory import RunDirectory
from studies.store import create, opened

SIZES = {999: "tied-depthwise-1k", 1_999: "tied-depthwise-2k", 3_999: "tied-depthwise-4k", 9_999: "tied-depthwise-10k"}
GENERATIONS = {"the best of 256": 0, "evolved": guided.GENERATIONS}
WAYS = ("at random", *GENERATIONS, "by hand")


def preset(data: str, *changes: str) -> Config:
    """The preset for a data set, with changes."""
    return read("mnist-quick", [f"data.name={data}", f'teacher.models=["{data}"]', *changes])


def chosen(data: str, way: str, size: int, number: int) -> Architecture:
    """The student of a size that is trained first, in a way."""
    if way == "by hand":
        return find(SIZES[size])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    guided.FREE, guided.GENERATIONS = 0.0, GENERATIONS.get(way, 0)
    sampler = "predictor" if way in GENERATIONS else "random"
    changes = (f"space.sizes=[{size}]", f"search.seed={size + number}", f"search.sampler={sampler}", "search.startup=0")
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(root=Path(folder), name="proposals")
        config = preset(data, *changes)
        create(directory, config)
        with opened(directory, load_once(config.data)) as store:
            return draw(make_sampler(store), History(store)).architecture


def measure(data: str, way: str, size: int, number: int, views: ViewSource) -> list[Row]:
    """Choose a student and train it; the test split is not read."""
    student, recipe = chosen(data, way, size, number), preset(data).retrain.recipe
    result = trained(student, recipe, number, views)
    row = {"way": way, "size": size, "draw": number, "family": student.family, "digest": student.digest}
    cost = {"parameters": student.cost().parameters, "memory_bytes": student.cost().memory_bytes}
    return [{**row, **cost, "validation": round(result.curve[-1].validation_accuracy, 6)}]


def table(results: pd.DataFrame) -> str:
    """Markdown: a row a way, a column a size, validation accuracies in per cent (mean ± sd over draws)."""
    lines = [["chosen", "draws", *(f"{size:,} parameters" for size in SIZES)]]
    for way in WAYS:
        rows = results[results["way"] == way].groupby("size")["validation"]
        cells = [f"{100 * mean:.2f} ± {100 * sd:.2f}" for mean, sd in zip(rows.mean(), rows.std(), strict=True)]
        lines.append([way, str(rows.size().max()), *cells])
    return markdown(lines)


def main(data: str, draws: Annotated[int, typer.Option(min=1)] = 3) -> None:
    """Train what is missing, then print the comparison."""
    config = preset(data)
    recipe, known = config.retrain.recipe, load_once(config.data)
    views = view_source(Path("runs/.views"), known, config.teacher, recipe.augmentation)
    make_views([(views, recipe)])
    jobs = {
        f"{way}, {size}, {number}": (data, way, size, number, views)
        for number in range(draws)
        for size in SIZES
        for way in WAYS
    }
    print(table(filled(Path(f"reports/evidence/proposals-{data}.csv"), jobs, measure)))


if __name__ == "__main__":
    typer.run(main)
