"""The environment of workers on GPUs, with a script in place of NVIDIA's daemon."""

import os
from pathlib import Path

import pytest

from search.engine.dask import DaskEngine
from search.engine.gpu import CONTROL, gpu_environment
from search.engine.worker import TURNS, VISIBLE, turn

PIPE, LOG = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"


def daemon(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """A script of the daemon's name; it writes down how it was called and what it was told, then does `body`."""
    calls, script = folder / "calls", folder / "bin" / CONTROL
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\ntold=; test "$1" = -d || read told\necho "$1 $told ${PIPE}" >> {calls}\n{body}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.delenv(PIPE, raising=False)
    monkeypatch.setenv(VISIBLE, "0")
    return calls


def test_a_daemon_of_our_own_lives_as_long_as_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = daemon(tmp_path, monkeypatch, 'test "$1" = -d || test "$told" = quit')
    with gpu_environment(True, pytest.fail) as environment:
        assert Path(environment[PIPE]).is_dir()
        assert Path(environment[LOG]).is_dir()
        assert len(environment[PIPE]) < 80  # sockets lie in it
    pipe = environment[PIPE]
    assert [line.split() for line in calls.read_text().splitlines()] == [
        ["get_server_list"],
        ["-d", pipe],
        ["quit", pipe],
    ]
    assert not Path(pipe).exists()


def test_a_daemon_that_runs_is_used_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = daemon(tmp_path, monkeypatch, "exit 0")
    with gpu_environment(True, pytest.fail) as environment:
        assert environment == {TURNS: "0"}
    assert calls.read_text().split() == ["get_server_list"]


def test_it_can_be_left_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = daemon(tmp_path, monkeypatch, "exit 0")
    with gpu_environment(False, pytest.fail) as environment:
        assert environment == {TURNS: "0"}
    assert not calls.exists()


def test_one_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon(tmp_path, monkeypatch, "echo no permission; exit 1")
    notes: list[str] = []
    with gpu_environment(True, notes.append) as environment:
        assert environment == {TURNS: "0"}
    assert notes == [f"{CONTROL} does not start (no permission): workers take turns on the GPU, which is slower"]


def test_workers_take_turns_on_several_gpus() -> None:
    assert [turn(number, {TURNS: "2,5,GPU-7"})[VISIBLE] for number in range(4)] == ["2", "5", "GPU-7", "2"]
    assert turn(3, {TURNS: "0"}) == turn(3, {TURNS: ""}) == turn(3, {}) == {}
    with DaskEngine(workers=2, environment={TURNS: "4,6"}) as engine:
        for number in range(8):
            engine.submit(number, _visible)
        found = set()
        while engine.tickets:
            found |= {result for _, result in engine.finished(1.0)}
    assert found == {"4", "6"}


def _visible() -> str | None:
    import time

    time.sleep(0.1)
    return os.environ.get(VISIBLE)
