"""What TPE loses by being shown few of the trials: python tests/benchmarks/tpe.py [--trials 200] [--seeds 3]

Searches by the real driver with an engine that trains nothing: an error follows from the size of a student, its family,
its depth and how its computation compares with its size, with a little luck. Printed are the hypervolume of the front
in (log₁₀ error, log₁₀ parameters) against (0.5, 10,000), mean ± deviation over seeds, and milliseconds of the driver a
trained trial, by how many of the best and of the latest trials TPE is shown.
"""

import argparse
import math
import random
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kd.data.dataset import load
from kd.distil.train import RungResult, RungTask
from kd.students.curve import Epoch
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource
from search.driver import search
from search.engine.fake import FakeEngine
from search.progress import Progress
from search.samplers import optuna_samplers as tpe
from search.session import Session
from space.architecture import Architecture
from studies.configuration.config import Config, Search
from studies.front import front
from studies.records import trial_records
from studies.storage.directory import RunDirectory
from studies.store import create, opened

SHOWN = ((20, 20), (60, 60), (120, 120), (10_000, 10_000))
FAMILY = {"cnn": 1.3, "depthwise": 1.0, "mlp": 1.6, "liquid": 1.4, "hybrid": 1.1}
WORST = 0.5, 10_000


def error(architecture: Architecture) -> float:
    """A made-up error [share]: least for many parameters, four blocks, a depthwise family and 100 MACs a parameter."""
    cost, depth = architecture.cost(), len(architecture.blocks)
    balance = 1 + 0.3 * abs(math.log10(max(1, cost.macs) / (100 * cost.parameters)))
    luck = random.Random(architecture.digest).uniform(0.9, 1.1)
    size = 0.3 * (100 / cost.parameters) ** 0.8
    return float(min(0.9, size * FAMILY[architecture.family] * balance * (1 + 0.1 * abs(depth - 4)) * luck))


def simulate(task: RungTask, _checkpoint: bytes | None) -> RungResult:
    """A rung of one epoch."""
    wrong = error(task.architecture)
    point = Epoch(epoch=1.0, train_loss=1.0, validation_accuracy=1 - wrong, validation_loss=wrong, seconds=60.0)
    return RungResult(curve=(point,), checkpoint=b"", seconds=60.0)


def hypervolume(points: list[tuple[float, int]]) -> float:
    """Of (error, parameters) in logarithms, against `WORST`."""
    volume, least = 0.0, math.log10(WORST[0])
    for wrong, parameters in sorted(points, key=lambda point: point[1]):
        height = least - math.log10(max(wrong, 1e-4))
        if height > 0:
            volume += height * (math.log10(WORST[1]) - math.log10(parameters))
            least -= height
    return volume


def measure(folder: Path, trials: int, seed: int, sampler: str) -> tuple[float, float]:
    """Hypervolume of a search, and milliseconds a trained trial."""
    teacher = TeacherSource(models=(str(teachers.shipped("mnist")),))
    settings = Search(trials=trials, rungs=(1.0,), startup=10, floor=0.5, sampler=sampler, seed=seed)  # type: ignore[arg-type]
    config, directory = Config(teacher=teacher, search=settings), RunDirectory(root=folder, name="study")
    data = load(config.data)
    create(directory, config)
    engine, began = FakeEngine(simulate), time.process_time()
    with open("/dev/null", "w") as nowhere, opened(directory, data) as store:
        progress = Progress(Console(file=nowhere), store, engine)
        search(Session(store=store, engine=engine, device="cpu", progress=progress, started=time.monotonic()))
        spent = time.process_time() - began
        found = front(trial_records(store), 0.5)
    points = [(1 - (record.accuracy or 0), record.cost.parameters) for record in found]
    return hypervolume(points), 1_000 * spent / trials


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    table = Table("sampler", "best shown", "latest shown", "hypervolume", "ms a trial", title=f"{asked.trials} trials")
    for sampler, best, latest in [("random", 0, 0), ("evolution", 0, 0), *(("tpe", *shown) for shown in SHOWN)]:
        tpe.BEST, tpe.LATEST = best, latest
        rows = []
        for seed in range(asked.seeds):
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(Path(folder), asked.trials, seed, sampler))
        volumes, spent = zip(*rows, strict=True)
        deviation = statistics.stdev(volumes) if len(volumes) > 1 else math.nan
        volume = f"{statistics.fmean(volumes):.3f} ± {deviation:.3f}"
        print(sampler, best, latest, volume, f"{statistics.fmean(spent):.0f} ms", flush=True)
        table.add_row(sampler, str(best), str(latest), volume, f"{statistics.fmean(spent):.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
