import csv
from pathlib import Path

import pytest

from kd.students.curve import Epoch
from reports.curve_log import COLUMNS, curve_log
from space.errors import InputError

CURVE = tuple(
    Epoch(epoch=epoch, train_loss=1 / epoch, validation_accuracy=0.9, validation_loss=0.5, seconds=2.0)
    for epoch in (0.5, 1.0, 2.0)
)


def test_a_csv_file_grows_by_a_row_a_point(tmp_path: Path) -> None:
    for name, points in (("trial-3", CURVE[:2]), ("trial-3", CURVE[2:]), ("student-ab-seed-0", CURVE[:1])):
        curve_log("csv", tmp_path).trained(name, points)
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], float(row["epoch"])) for row in rows] == [
        ("trial-3", 0.5),
        ("trial-3", 1.0),
        ("trial-3", 2.0),
        ("student-ab-seed-0", 0.5),
    ]
    assert set(rows[0]) == {"name", *COLUMNS}
    assert rows[2]["train_loss"] == "0.5" and rows[2]["macro_f1"] == ""


@pytest.mark.filterwarnings("ignore")  # TensorBoard's own
def test_tensorboard_reads_the_curves(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    curve_log("tensorboard", tmp_path).trained("trial-3", CURVE)
    found = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / "trial-3"))
    found.Reload()
    points = [(event.step, event.value) for event in found.Scalars("train_loss")]
    assert points == [(50, 2.0), (100, 1.0), (200, 0.5)]
    assert "macro_f1" not in found.Tags()["scalars"]


def test_tensorboard_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard, or use --log csv"):
        curve_log("tensorboard", tmp_path)
