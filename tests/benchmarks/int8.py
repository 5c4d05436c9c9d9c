"""What int8 costs: python tests/benchmarks/int8.py DATA [--students NAME …] [--seeds N] [--runs FOLDER] [--study NAME].

Students are trained by the preset DATA (mnist or fashion-mnist) in the study int8-DATA under `--runs`, one after the
other, and quantised as `retrain` does it. What is finished there is not done again, so that it may be stopped at any
time. With `--study` they are those that another study there has retrained. A row a seed goes to
reports/evidence/int8-DATA.csv, in place of those that there are of a student.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from grid import markdown

from kd.data.dataset import DataSet
from kd.deploy.calibration import calibrate
from kd.deploy.correction import corrected
from kd.deploy.export import CALIBRATION
from kd.deploy.finetune import twin_accuracy
from kd.deploy.lower import lower
from kd.students.file import load_student
from reports.terminal import terminal
from search.run import Machine, retrain_study
from space.architecture import Architecture
from studies.configuration.file import read
from studies.records import StudentRecord, student_records
from studies.shipped import find
from studies.storage.directory import ROOT, RunDirectory
from studies.store import opened

STUDENTS = ("tied-depthwise-1k", "tied-depthwise-2k", "tied-depthwise-4k", "tied-depthwise-10k")
SETTINGS = ("budget.memory_bytes=17000", "retrain.with_validation=false", "retrain.recipe.views=8")
"""The presets allow less than the largest needs; validation is to tell what rounding costs."""
EVIDENCE = Path(__file__).parents[2] / "reports" / "evidence"


def rows(name: str, student: StudentRecord, folder: Path, data: DataSet) -> Iterator[dict[str, object]]:
    """A row a seed: validation as it is, rounded, with biases corrected, and as it is kept, and both tests."""
    for seed in student.seeds:
        if seed.int8 is None:
            continue
        program = lower(load_student(folder / f"seed-{seed.seed}.safetensors"))
        limits = calibrate(program, data.train.images[:CALIBRATION])
        rounded = corrected(program, limits, data.train.images)
        yield {
            "student": name,
            "parameters": student.cost.parameters,
            "seed": seed.seed,
            "validation": round(twin_accuracy(program, None, data), 6),
            "rounded_validation": round(twin_accuracy(program, limits, data), 6),
            "corrected_validation": round(twin_accuracy(rounded, limits, data), 6),
            "int8_validation": round(seed.int8.validation, 6),
            "passes": seed.int8.tuned,
            "test": seed.test,
            "int8_test": seed.int8.test.accuracy,
        }


def gathered(directory: RunDirectory, wanted: dict[str, Architecture]) -> pd.DataFrame:
    """What a study has of some students by name."""
    digests = {architecture.digest: name for name, architecture in wanted.items()}
    with opened(directory) as store:
        found = [
            row
            for student in student_records(store)
            if (digest := student.architecture.digest) in digests
            for row in rows(digests[digest], student, directory.student(digest), store.data)
        ]
    return pd.DataFrame(found)


def table(results: pd.DataFrame) -> str:
    """Markdown: a row a student, test accuracies in per cent."""
    lines = [["student", "parameters", "float", "int8", "lost", "seeds", "of them fine-tuned"]]
    for name, seeds in results.sort_values("parameters").groupby("student", sort=False):
        lost = 100 * (seeds["test"] - seeds["int8_test"])
        means = [f"{100 * seeds[key].mean():.2f} ± {100 * seeds[key].std():.2f}" for key in ("test", "int8_test")]
        counts = [str(len(seeds)), str((seeds["passes"] > 0).sum())]
        lines.append([str(name), f"{seeds['parameters'].iloc[0]:,}", *means, f"{lost.mean():.2f}", *counts])
    return markdown(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", choices=("mnist", "fashion-mnist"))
    parser.add_argument("--students", nargs="+", default=list(STUDENTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=ROOT)
    parser.add_argument("--study")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    directory = RunDirectory(root=asked.runs, name=asked.study or f"int8-{asked.data}")
    path = EVIDENCE / f"int8-{asked.data}.csv"
    wanted = {name: find(name) for name in asked.students}
    for name, architecture in wanted.items():
        if not asked.study:
            config = read(asked.data, SETTINGS)
            retrain_study(directory, config, (), [architecture], asked.seeds, Machine(workers=1), terminal())
        found = gathered(directory, {name: architecture})
        known = pd.read_csv(path) if path.is_file() else found.head(0)
        results = pd.concat([known[known["student"] != name], found])
        results.to_csv(path, index=False)
        print(f"after {name}\n\n{table(results)}")


if __name__ == "__main__":
    main()
