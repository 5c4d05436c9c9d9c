"""What tests of the command line share: a run of it, and the smallest study that runs to its report."""

import subprocess
import sys
from pathlib import Path

MLP_STUDY = """
[data]
name = "{data}"
validation = 200

[space]
families = ["mlp"]

[search]
trials = 1
rungs = [1]
floor = 0

[recipe]
batch = 50
views = 1

[retrain]
points = 1
seeds = 1

[retrain.recipe]
epochs = 1
batch = 50
views = 1
"""


def wunderkind(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, by default the present one, whatever it ends with."""
    command = [sys.executable, "-m", "search", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=folder)
