"""A study taught by a file of logits, on a small slice of MNIST."""

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import MLP_STUDY
from typer.testing import CliRunner

from kd.data.dataset import DataSource
from kd.teachers import network as teachers
from search.cli.app import app
from space.errors import InputError


def test_saved_logits_teach_a_study_that_augments_nothing(
    small_source: DataSource, teacher_path: Path, tmp_path: Path
) -> None:
    with np.load(small_source.name) as archive:
        pixels = torch.from_numpy(archive["x_train"])[:, None].float() / 255
    logits = teachers.load(teacher_path, torch.device("cpu"))(pixels).detach()
    np.savez(tmp_path / "saved.npz", logits=logits.numpy())
    (tmp_path / "mine.toml").write_text(MLP_STUDY.format(data=small_source.name))
    command = ["run", str(tmp_path / "mine.toml"), "--teacher", str(tmp_path / "saved.npz"), "--workers", "1"]
    command += ["--device", "cpu", "--runs", str(tmp_path / "runs")]
    with pytest.raises(InputError, match=r"set recipe\.augmentation=none, or assistants\.recipe\.augmentation=none"):
        CliRunner().invoke(app, command, catch_exceptions=False)
    assert not (tmp_path / "runs").exists()
    result = CliRunner().invoke(app, [*command, "--set", "recipe.augmentation=none"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "- Teacher: saved.npz\n" in (tmp_path / "runs" / "mine" / "report" / "report.md").read_text()
