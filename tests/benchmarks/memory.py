"""Memory of a study of made-up pictures, phase by phase: python tests/benchmarks/memory.py [COUNT] [SIDE].

By default of 200,000 pictures of 96×96×3, 5.5 GB: one view, an epoch of one student, retraining, export and report. It
needs three times as much on the disk, which is removed at the end; --folder says where. PSS is summed over the command
and all processes it starts: a page that several of them hold counts once.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

CLASSES, CELLS, PART = 10, 12, 1_000
BEGINS = {"preparing": "views", "searching": "search", "retraining": "retraining"}
BEGINS |= {"exporting": "export", "laying": "export", "reporting": "report"}
"""How lines begin that tell of a new phase, and what the phase is called."""

TEACHER = """
import numpy as np, torch

class Teacher(torch.nn.Module):
    def __init__(self):
        super().__init__()
        patterns = torch.from_numpy(np.load("patterns.npy")).float() / 255 - 0.5
        self.register_buffer("patterns", patterns.flatten(1))

    def forward(self, pixels):
        pooled = torch.nn.functional.adaptive_avg_pool2d(pixels, patterns_side).flatten(1) - 0.5
        return pooled @ self.patterns.T / 4
""".replace("patterns_side", str(CELLS))

STUDY = """
teacher = "made_up:Teacher"
[data]
name = "pictures.npz"
[search]
trials = 2
startup = 2
rungs = [0.1]
[space]
families = ["mlp"]
[recipe]
views = 1
augmentation = "none"
[retrain]
points = 1
seeds = 1
[retrain.recipe]
epochs = 1
views = 1
augmentation = "none"
schedule = "cosine"
"""


@dataclass(kw_only=True)
class Phase:
    """A part of a run: when it began, and the most memory that was in use."""

    name: str
    began: float = field(default_factory=time.perf_counter)
    ended: float = 0.0
    pss: int = 0
    rss: int = 0


class Watch(threading.Thread):
    """Looks at a process and all that it started, twice a second."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.process, self.phases = process, [Phase(name="reading")]

    def run(self) -> None:
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            pss = rss = 0
            for member in (self.process, *self.process.children(recursive=True)):
                try:
                    memory = member.memory_full_info()  # of /proc/PID/smaps_rollup
                except psutil.Error:
                    continue  # ended between listing and reading
                rss, pss = rss + memory.rss, pss + memory.pss
            phase = self.phases[-1]
            phase.pss, phase.rss = max(phase.pss, pss), max(phase.rss, rss)
            time.sleep(0.5)

    def enter(self, name: str) -> None:
        if name != self.phases[-1].name:
            self.phases[-1].ended = time.perf_counter()
            self.phases.append(Phase(name=name))


def pictures(count: int, patterns: np.ndarray, side: int, labels: np.ndarray) -> Iterator[bytes]:
    """Noise over a pattern a class, part by part."""
    generator = np.random.default_rng(1)
    large = patterns.repeat(side // CELLS, 2).repeat(side // CELLS, 3).transpose(0, 2, 3, 1)
    for start in range(0, count, PART):
        chosen = large[labels[start : start + PART]] // 2
        yield (chosen + generator.integers(0, 128, chosen.shape, dtype=np.uint8)).tobytes()


def write(folder: Path, count: int, side: int) -> int:
    """Write made-up data and their teacher; returns the bytes of the pictures."""
    generator, total = np.random.default_rng(0), 0
    patterns = generator.integers(0, 256, (CLASSES, 3, CELLS, CELLS), dtype=np.uint8)
    np.save(folder / "patterns.npy", patterns)
    (folder / "made_up.py").write_text(TEACHER)
    (folder / "study.toml").write_text(STUDY)
    with zipfile.ZipFile(folder / "pictures.npz", "w") as archive:
        for part, size in (("train", count), ("test", max(CLASSES, count // 40))):
            labels = generator.integers(0, CLASSES, size)
            labels[:CLASSES] = range(CLASSES)
            with archive.open(f"y_{part}.npy", "w") as file:
                np.save(file, labels)
            with archive.open(f"x_{part}.npy", "w", force_zip64=True) as file:
                about = {"descr": "|u1", "fortran_order": False, "shape": (size, side, side, 3)}
                np.lib.format.write_array_header_1_0(file, about)
                for content in pictures(size, patterns, side, labels):
                    file.write(content)
                    total += len(content)
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=200_000)
    parser.add_argument("side", type=int, nargs="?", default=96, help=f"a multiple of {CELLS}")
    parser.add_argument("--folder", type=Path, help="where to write what is removed at the end")
    parser.add_argument("--workers", type=int, help="one per core by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        size = write(folder, arguments.count, arguments.side)
        print(f"{arguments.count:,} pictures of {arguments.side}×{arguments.side}×3, {size / 1e9:.2f} GB", flush=True)
        command = [sys.executable, "-m", "search", "run", "study.toml"]
        command += ["--workers", str(arguments.workers)] if arguments.workers else []
        places = {"WUNDERKIND_DATA": str(folder / "cache"), "PYTHONPATH": str(Path(__file__).parents[2])}
        process = psutil.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | places
        )
        watch = Watch(process)
        watch.start()
        for line in process.stdout:
            print("   ", line.rstrip(), flush=True)
            for word in line.split()[1:2]:  # behind the time
                watch.enter(BEGINS.get(word, watch.phases[-1].name))
        process.wait()
        watch.join()
    watch.phases[-1].ended = time.perf_counter()
    print(f"{'phase':<12}{'seconds':>9}{'PSS GB':>9}{'RSS GB':>9}")
    for phase in watch.phases:
        print(f"{phase.name:<12}{phase.ended - phase.began:>9.0f}{phase.pss / 1e9:>9.2f}{phase.rss / 1e9:>9.2f}")
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
