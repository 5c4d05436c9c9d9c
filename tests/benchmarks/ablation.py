"""What distillation gives small students: python tests/benchmarks/ablation.py DATA [--way WAY ...] [--epochs N ...]

Plain convolutional students of about 1,000, 4,000 and 9,500 parameters are trained on `DATA` (mnist or fashion-mnist)
in many ways, or those given, `SEEDS` seeds each, for 12 epochs; and in the default way, "kl", for other numbers of
epochs. Teacher and ensemble are the shipped ones of the data.

Results are kept in `reports/evidence/ablation-DATA.csv`, so a call goes on where the last one stopped. Printed is a
Markdown table of test accuracies (per cent, mean ± sd), the test split read once a seed, after the last epoch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from grid import Row, filled, gathered, make_views, markdown, trained

from kd.data.augmentation import NO_AUGMENTATION, Augmentation, default_policy
from kd.data.dataset import DataSet, DataSource, load, load_once
from kd.distil.views import ViewSource, view_source
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import Recipe
from kd.students.evaluate import evaluate
from kd.students.file import save_student
from kd.teachers.source import TeacherSource
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage, Pool
from space.network import build
from studies.shipped import find

SEEDS = 3
EPOCHS = 12
CACHE = Path("runs/.views")
RECIPE = Recipe(schedule="cosine", epochs=EPOCHS, warmup=1 / EPOCHS, batch=128, views=8)
STAGE = "features.11"
"""The teacher's last convolution of 64 channels, maps of 7×7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training: a student of a size, a way to train it, a seed."""

    student: Architecture
    way: str
    recipe: Recipe
    views: ViewSource
    seed: int

    @property
    def name(self) -> str:
        return f"{self.student.digest} {self.way}, {self.recipe.epochs} epochs, seed {self.seed}"


def recipes(policy: Augmentation) -> dict[str, dict[str, Any]]:
    """What each way changes of the recipe of a data set whose augmentation is `policy`."""
    return {
        "kl": {},
        "hard labels": {"loss": "hard"},
        "kl, AdamW": {"optimizer": "adamw", "learning_rate": 1e-2},
        "kl, twice the rate": {"learning_rate": 4e-2},
        "mse": {"loss": "mse"},
        "dkd": {"loss": "dkd"},
        "dist": {"loss": "dist"},
        "kl, standardised": {"standardise": True},
        "kl, 0.1 hard labels": {"hard_weight": 0.1},
        "kl, T = 1": {"temperature": 1.0},
        "kl, T = 4": {"temperature": 4.0},
        "kl, no augmentation": {"augmentation": NO_AUGMENTATION},
        "hard labels, no augmentation": {"augmentation": NO_AUGMENTATION, "loss": "hard"},
        "kl, elastic": {"augmentation": replace(policy, elastic=0.03)},
        "kl, fading augmentation": {"weak_augmentation": 0.3},
        "kl, last epoch unaugmented": {"unaugmented": 1 / EPOCHS},
        "kl, last five epochs unaugmented": {"unaugmented": 5 / EPOCHS},
        "kl + hint": {"feature_loss": "hint"},
        "kl + attention": {"feature_loss": "attention"},
        "kl + similarity": {"feature_loss": "similarity", "feature_weight": 100.0},
        "kl, assistant": {},
        "kl, ensemble": {},
    }


def students() -> list[Architecture]:
    """About 1,000, 4,000 and 9,500 parameters."""
    return [_plain(5, 7, 7), _plain(8, 12, 12, 12), _plain(8, 16, 24, 20)]


def _plain(first: int, second: int, *others: int) -> Architecture:
    front = Convolution(width=first, kernel=5, stride=2), Convolution(width=second)
    rest = tuple(Convolution(width=width) for width in others)
    blocks: tuple[AnyBlock, ...] = (*front, Pool(), *rest, GlobalAverage())
    return Architecture(family="cnn", shape=(1, 28, 28), classes=10, blocks=blocks)


def measure(run: Run) -> list[Row]:
    """Train a student and read the test split."""
    result = trained(run.student, run.recipe, run.seed, run.views)
    data, model = load_once(run.views.data), build(run.student)
    model.load_state_dict(averaged_weights(result.checkpoint))
    test = evaluate(model, data.test, data, torch.device("cpu")).accuracy
    facts = {
        "parameters": run.student.cost().parameters,
        "way": run.way,
        "epochs": run.recipe.epochs,
        "seed": run.seed,
        "validation": result.curve[-1].validation_accuracy,
        "validation_loss": result.curve[-1].validation_loss,
        "test": test,
        "seconds": round(result.seconds, 1),
    }
    return [facts]


def taught(path: Path, recipe: Recipe, views: ViewSource) -> None:
    """Train the assistant and write its file."""
    assistant = find("wide-cnn")
    result = trained(assistant, recipe, 0, views)
    save_student(path, averaged_weights(result.checkpoint), assistant, load(views.data))


def runs(data: DataSet, ways: Sequence[str], epochs: Sequence[int]) -> Iterator[Run]:
    """The trainings of some ways, or of all there are, those of a way together."""
    policy = default_policy(data.name)
    known = recipes(policy)
    ways = ways or tuple(known)
    cache = CACHE.resolve()

    def views(recipe: Recipe, models: tuple[str, ...] = (data.name,), stage: str = "") -> ViewSource:
        return view_source(cache, data, TeacherSource(models=models, stage=stage), recipe.augmentation)

    recipe = replace(RECIPE, augmentation=policy)
    assistant = Path(f"runs/.ablation/{data.name}-wide-cnn.safetensors").resolve()
    if "kl, assistant" in ways and not assistant.is_file():
        assistant.parent.mkdir(parents=True, exist_ok=True)
        make_views([(views(recipe), recipe)])
        list(gathered({assistant.stem: (assistant, replace(recipe, epochs=40, warmup=1 / 40), views(recipe))}, taught))
    for way in ways:
        changed = replace(recipe, **known[way])
        teacher: dict[str, Any] = {}
        if changed.feature_loss != "none":
            teacher = {"stage": STAGE}
        elif way == "kl, ensemble":
            teacher = {"models": (data.name, f"{data.name}-1")}
        elif way == "kl, assistant":
            teacher = {"models": (str(assistant),)}
        source = views(changed, **teacher)
        lengths = [EPOCHS, *epochs] if way == "kl" else [EPOCHS]
        for length in lengths:
            for student in students():
                for seed in range(SEEDS):
                    trained = replace(changed, epochs=length, warmup=1 / length)  # one epoch
                    yield Run(student=student, way=way, recipe=trained, views=source, seed=seed)


def table(results: pd.DataFrame, column: str) -> str:
    """Markdown: a row a way and length, a column a size, per cent; "–" where seeds are still to be measured."""

    def cell(values: "pd.Series[float]") -> str:
        return f"{values.mean():.2f} ± {values.std():.2f}" if len(values) == SEEDS else "–"

    share = results.assign(share=100 * results[column]).groupby(["way", "epochs", "parameters"], sort=False)["share"]
    cells = share.agg(cell).unstack(fill_value="–")
    rows = [[way, str(epochs), *row] for (way, epochs), row in zip(cells.index, cells.to_numpy(), strict=True)]
    return markdown([["way", "epochs", *(f"{size:,} parameters" for size in cells.columns)], *rows])


def main(
    name: Annotated[str, typer.Argument(metavar="DATA")],
    ways: Annotated[list[str] | None, typer.Option("--way")] = None,
    epochs: Annotated[list[int] | None, typer.Option()] = None,
) -> None:
    data = load(DataSource(name=name))
    planned = list(runs(data, ways or (), epochs or ()))
    make_views((run.views, run.recipe) for run in planned)
    results = filled(Path(f"reports/evidence/ablation-{data.name}.csv"), {run.name: (run,) for run in planned}, measure)
    for column in ("test", "validation"):
        print(f"{column} accuracy, {results['seed'].nunique()} seeds\n\n{table(results, column)}\n")


if __name__ == "__main__":
    typer.run(main)
