"""Studies killed and torn at random: python tests/benchmarks/faults.py 200 --seed 0.

A small study is run undisturbed, then others like it are killed with SIGKILL at random moments, again and again until
they are done: over views, search, retraining, export and report. After every second kill a file of theirs is torn, too:
truncated, emptied, or a page of it zeroed. Whoever goes on does what the last line on the terminal says. In the end
every study must have the records of the undisturbed one, and `wunderkind verify` must pass.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kd.data.dataset import ASSETS

STUDY = """
teacher = "mnist"

[data]
name = "data.npz"
validation = 100

[space]
families = ["mlp", "cnn"]
largest = 3000

[search]
trials = 4
rungs = [0.5, 1]
startup = 2
peers = 1
floor = 0.1

[recipe]
batch = 64
views = 1

[retrain]
points = 2
seeds = 1

[retrain.recipe]
schedule = "cosine"
epochs = 3
batch = 64
views = 1
"""
SAMPLES, PAGE, ATTEMPTS = 600, 4_096, 12
QUERIES = {
    "trials": "SELECT number, state FROM trials ORDER BY 1",
    "values": "SELECT number, objective, value FROM trials JOIN trial_values USING (trial_id) ORDER BY 1, 2",
    "parameters": "SELECT number, param_name, param_value FROM trials JOIN trial_params USING (trial_id) ORDER BY 1, 2",
    "attributes": "SELECT number, key, value_json FROM trials JOIN trial_user_attributes USING (trial_id) "
    "WHERE key NOT LIKE 'dashboard%' AND key <> 'seconds' ORDER BY 1, 2",
    "rungs": "SELECT architecture, recipe, views, seed, epochs, failure, curve FROM wunderkind_training "
    "JOIN wunderkind_rung ON wunderkind_training.id = training ORDER BY 1, 2, 3, 4, 5",
    "tests": "SELECT architecture, recipe, views, seed, accuracy FROM wunderkind_training "
    "JOIN wunderkind_test ON wunderkind_training.id = training ORDER BY 1, 2, 3, 4",
}
Tear = Literal["truncated", "emptied", "zeroed"]
TEARS: tuple[Tear, ...] = ("truncated", "emptied", "zeroed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one study ended: its kills and torn files, whether its records are right, what was wrong if not."""

    kills: int
    torn: tuple[str, ...]
    repairs: int
    fault: str

    @property
    def line(self) -> str:
        """All of it."""
        verdict = self.fault or "the same records, verified"
        return f"{self.kills:3} kills, {self.repairs} repairs: {verdict}; torn: {', '.join(self.torn) or 'nothing'}"


def make_study(folder: Path) -> Path:
    """A study's file, and its data beside it: some of MNIST."""
    with np.load(ASSETS / "mnist.npz") as mnist:
        small = {name: mnist[name][: SAMPLES if "train" in name else SAMPLES // 3] for name in mnist.files}
    np.savez(folder / "data.npz", **small)
    path = folder / "small.toml"
    path.write_text(STUDY)
    return path


def disturbed(study: Path, runs: Path, expected: dict[str, Any], longest: float, generator: random.Random) -> Outcome:
    """Kill a study until it is done; `longest` is how many seconds an undisturbed one takes."""
    kills, repairs, torn, left = 0, 0, list[str](), ATTEMPTS
    while True:
        moment = generator.uniform(0, longest) if left else None
        process = begin("run", str(study), "--workers", "1", runs=runs)
        output = killed_at(process, moment)
        if output is None:
            kills, left = kills + 1, left - 1
            if kills % 2 == 0 and (what := tear(runs, generator)):
                torn.append(what)
        elif process.returncode == 0:
            break
        elif "wunderkind repair" in output and repairs < ATTEMPTS:
            repairs += 1
            line = finished("repair", "small", runs=runs)
            if "delete it" in line:
                (runs / "small" / "config.json").unlink()
        elif "the same command" not in output:
            return Outcome(kills=kills, torn=tuple(torn), repairs=repairs, fault=output[-500:])
    checked = finished("verify", "small", runs=runs)
    found = records(runs / "small")
    wrong = [name for name in expected if found[name] != expected[name]]
    wrong += ["verify"] if "FAILED" in checked or "checks passed" not in checked else []
    return Outcome(kills=kills, torn=tuple(torn), repairs=repairs, fault=f"other {', '.join(wrong)}" if wrong else "")


def tear(runs: Path, generator: random.Random) -> str | None:
    """Damage a random file of a study or its views; None if there is none yet."""
    files = sorted(
        path for path in runs.rglob("*") if path.is_file() and path.suffix != ".lock" and path.stat().st_size
    )
    if not files:
        return None
    path, how = generator.choice(files), generator.choice(TEARS)
    size = path.stat().st_size
    with path.open("r+b") as file:
        if how == "zeroed":
            file.seek(generator.randrange(-(-size // PAGE)) * PAGE)
            file.write(bytes(min(PAGE, size - file.tell())))
        else:
            file.truncate(generator.randrange(size) if how == "truncated" else 0)
    return f"{path.relative_to(runs)} {how}"


def records(study: Path) -> dict[str, Any]:
    """All that a study found, without times."""
    with closing(sqlite3.connect(study / "study.db")) as database:
        found: dict[str, Any] = {name: database.execute(query).fetchall() for name, query in QUERIES.items()}
    found["rungs"] = [
        (*row, [{**point, "seconds": 0} for point in json.loads(curve)]) for *row, curve in found["rungs"]
    ]
    return found


def begin(*arguments: str, runs: Path) -> "subprocess.Popen[str]":
    """Start a command in a process group of its own."""
    command = [sys.executable, "-m", "search", *arguments, "--runs", str(runs)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def killed_at(process: "subprocess.Popen[str]", moment: float | None) -> str | None:
    """Kill a command and its workers after so many seconds; its output if it ended before, or without a moment."""
    try:
        return process.communicate(timeout=moment)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None


def finished(*arguments: str, runs: Path) -> str:
    """Output of a command that is let alone."""
    return begin(*arguments, runs=runs).communicate()[0]


def outcomes(kills: int, seed: int, folder: Path) -> Iterator[Outcome]:
    """Disturb studies in an empty folder until there were so many kills."""
    study, generator = make_study(folder), random.Random(seed)
    began = time.monotonic()
    output = finished("run", str(study), "--workers", "1", runs=folder / "calm")
    longest = time.monotonic() - began
    assert "report:" in output, output
    expected = records(folder / "calm" / "small")
    done = 0
    while done < kills:
        runs = folder / f"disturbed-{done}"
        began = time.monotonic()
        outcome = disturbed(study, runs, expected, longest, generator)
        if not outcome.kills:  # this machine has become faster
            longest = min(longest, time.monotonic() - began)
        shutil.rmtree(runs)
        done += outcome.kills
        yield outcome


def main() -> None:
    """Print a line a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, help="kills, all studies together")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, the files and what is done to them")
    asked = parser.parse_args()
    kills = failures = torn = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for outcome in outcomes(asked.kills, asked.seed, Path(folder)):
            print(outcome.line, flush=True)
            kills, failures, torn = kills + outcome.kills, failures + bool(outcome.fault), torn + len(outcome.torn)
    print(f"{kills} kills, {torn} torn files, {failures} studies with other records")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
