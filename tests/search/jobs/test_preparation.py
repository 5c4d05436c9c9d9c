"""What students need before they are trained."""

from pathlib import Path

from command_line import wunderkind


def test_views_that_would_not_fit_on_the_disk_are_told_before_the_first_is_made(tmp_path: Path) -> None:
    """24,001 views of MNIST, of 45 MB each."""
    length = ("--set", "retrain.recipe.epochs=40000", "--set", "retrain.recipe.views=40000")
    found = wunderkind("run", "mnist-quick", *length, "--runs", tmp_path, "--workers", "1")
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert "error: 24,001 views take 1071.9 GB" in line
    assert "GB are free: make room, lower recipe.views and retrain.recipe.views, or use another folder" in line
    assert not list(tmp_path.glob(".views/*/*"))
