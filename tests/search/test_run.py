"""Whole studies from the command line, on a small slice of MNIST: run, kill, go on, retrain, verify, misuse."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import LocalCluster

from kd.device import cores
from studies.front import front, student_front
from studies.records import student_records, trial_records
from studies.storage.directory import RunDirectory
from studies.store import opened


def wunderkind(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments, folder=folder), capture_output=True, text=True, timeout=300, check=False)


def command(*arguments: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "search", *arguments, "--runs", str(folder)]


def begin(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(*arguments, folder=folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"{words!r} never came:\n{''.join(lines)}")


def outcomes(folder: Path, name: str) -> dict[str, Any]:
    """What a study found, without times, ids and paths."""
    database = sqlite3.connect(folder / name / "study.db")
    queries = {
        "states": "SELECT number, state FROM trials ORDER BY number",
        "values": "SELECT number, objective, value FROM trials JOIN trial_values USING (trial_id) ORDER BY 1, 2",
        "params": "SELECT number, param_name, param_value FROM trials JOIN trial_params USING (trial_id) ORDER BY 1, 2",
        "attributes": "SELECT number, key, value_json FROM trials JOIN trial_user_attributes USING (trial_id)"
        " WHERE key NOT LIKE 'dashboard%' AND key <> 'seconds' ORDER BY 1, 2",
        "rungs": "SELECT architecture, recipe, seed, epochs, failure FROM wunderkind_training JOIN wunderkind_rung"
        " ON wunderkind_training.id = training ORDER BY 1, 2, 3, 4",
        "tests": "SELECT architecture, recipe, seed, accuracy FROM wunderkind_training JOIN wunderkind_test"
        " ON wunderkind_training.id = training ORDER BY 1, 2, 3",
    }
    found: dict[str, Any] = {name: database.execute(query).fetchall() for name, query in queries.items()}
    curves = database.execute(
        "SELECT architecture, recipe, seed, epochs, curve FROM wunderkind_training JOIN wunderkind_rung"
        " ON wunderkind_training.id = training ORDER BY 1, 2, 3, 4"
    )
    points = [(*row, [{**p, "seconds": 0} for p in json.loads(curve)]) for *row, curve in curves]
    database.close()
    return found | {"curves": points}


def rung_seconds(folder: Path, name: str) -> dict[int, float]:
    """Seconds of every rung on record: to the nanosecond, so that they tell whether one was trained again."""
    database = sqlite3.connect(folder / name / "study.db")
    seconds = dict(database.execute("SELECT id, seconds FROM wunderkind_rung").fetchall())
    database.close()
    return seconds


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, study_file: Path) -> Path:
    """Folder of run directories with one finished study, `calm`, made by one worker."""
    folder = tmp_path_factory.mktemp("runs")
    result = wunderkind("run", str(study_file), "--name", "calm", "--workers", "1", folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_a_study_leaves_everything_it_promises(undisturbed: Path) -> None:
    study = undisturbed / "calm"
    for name in ("index.html", "report.md", "pareto.csv", "pareto.json"):
        assert (study / "report" / name).stat().st_size > 0
    found = outcomes(undisturbed, "calm")
    assert {state for _, state in found["states"]} <= {"COMPLETE", "PRUNED"}
    outcome = [json.loads(value) for _, key, value in found["attributes"] if key == "outcome"]
    assert sum(o in ("complete", "pruned") for o in outcome) == 6
    assert len({recipe for _, recipe, *_ in found["rungs"]}) >= 6  # drawn with every student
    assert re.search(r"loss (kl|mse), temperature \d", (study / "report" / "report.md").read_text())
    students = list((study / "students").iterdir())
    assert students
    for student in students:
        results = json.loads((student / "results.json").read_text())
        assert [seed["seed"] for seed in results["seeds"]] == [0, 1]
        assert (student / "student.onnx").is_file()


def test_a_finished_study_says_so_at_once(undisturbed: Path, study_file: Path) -> None:
    before = rung_seconds(undisturbed, "calm")
    result = wunderkind("run", str(study_file), "--name", "calm", "--workers", "1", folder=undisturbed)
    assert result.returncode == 0, result.stderr
    assert "is done" in result.stdout
    assert "index.html" in result.stdout
    assert rung_seconds(undisturbed, "calm") == before


@pytest.mark.parametrize("moment", ["after 0.5 epochs", "after 1 epoch", "retraining"])
def test_a_killed_driver_goes_on_as_if_nothing_had_happened(undisturbed: Path, study_file: Path, moment: str) -> None:
    name = "killed-" + moment.replace(" ", "-")
    process = begin("run", str(study_file), "--name", name, "--workers", "1", folder=undisturbed)
    read_until(process, moment)
    time.sleep(0.3)  # into the middle of the next rung
    process.kill()
    process.communicate()
    before = rung_seconds(undisturbed, name)
    assert before
    result = wunderkind("run", str(study_file), "--name", name, "--workers", "1", folder=undisturbed)
    assert result.returncode == 0, result.stdout + result.stderr
    assert outcomes(undisturbed, name) == outcomes(undisturbed, "calm")
    after = rung_seconds(undisturbed, name)
    assert {key: after[key] for key in before} == before


def test_a_killed_worker_costs_nothing_but_time(undisturbed: Path, study_file: Path) -> None:
    process = begin("run", str(study_file), "--name", "worker", "--workers", "1", folder=undisturbed)
    read_until(process, "after 0.5 epochs")
    workers = [child for child in psutil.Process(process.pid).children(recursive=True) if len(child.cmdline()) > 1]
    largest = max(workers, key=lambda child: child.memory_info().rss)
    largest.kill()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert outcomes(undisturbed, "worker") == outcomes(undisturbed, "calm")


def test_a_worker_a_core_is_the_default(undisturbed: Path, study_file: Path) -> None:
    process = begin("run", str(study_file), "--name", "default", folder=undisturbed)
    read_until(process, "trial 0 ")
    workers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert len(workers) == cores()
    calm, found = (outcomes(undisturbed, name) for name in ("calm", "default"))
    startup = 3  # random suggestions depend on nothing that was trained
    assert [row for row in found["params"] if row[0] < startup] == [row for row in calm["params"] if row[0] < startup]
    assert {state for _, state in found["states"]} <= {"COMPLETE", "PRUNED"}
    result = wunderkind("verify", "default", folder=undisturbed)
    assert result.returncode == 0, result.stdout
    trained = {tuple(row[:4]): row[4] for row in calm["curves"]}
    same = [row for row in found["curves"] if tuple(row[:4]) in trained]
    assert same
    assert all(row[4] == trained[tuple(row[:4])] for row in same)  # to the bit, whatever the number of workers


def test_a_lost_scheduler_costs_the_rungs_in_flight(undisturbed: Path, study_file: Path) -> None:
    def cluster() -> LocalCluster:
        return LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", protocol="tcp://", dashboard_address="127.0.0.1:0"
        )

    with cluster() as first:
        process = begin(
            "run", str(study_file), "--name", "cluster", "--scheduler", first.scheduler_address, folder=undisturbed
        )
        read_until(process, "after 0.5 epochs")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    (line,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert line == output.strip().splitlines()[-1]
    assert f"the Dask scheduler at {first.scheduler_address} is gone: nothing is lost" in line
    before = rung_seconds(undisturbed, "cluster")
    assert before
    with cluster() as second:
        result = wunderkind("run", "--name", "cluster", "--scheduler", second.scheduler_address, folder=undisturbed)
    assert result.returncode == 0, result.stdout + result.stderr
    assert outcomes(undisturbed, "cluster") == outcomes(undisturbed, "calm")
    after = rung_seconds(undisturbed, "cluster")
    assert {key: after[key] for key in before} == before


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(undisturbed: Path, study_file: Path) -> None:
    process = begin("run", str(study_file), "--name", "stopped", "--workers", "1", folder=undisturbed)
    read_until(process, "after 0.5 epochs")
    os.killpg(process.pid, signal.SIGINT)  # a terminal tells the workers too
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "stopped; go on with: wunderkind run" in output
    assert "Traceback" not in output


def test_ctrl_c_while_modules_are_imported_is_clean(study_file: Path, tmp_path: Path) -> None:
    process = begin("run", str(study_file), folder=tmp_path)
    while not any("libtorch" in mapped.path for mapped in psutil.Process(process.pid).memory_maps()):
        time.sleep(0.01)  # PyTorch is mapped in the middle of the imports
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert output.startswith("stopped; go on with: wunderkind run")


def test_a_study_goes_on_by_its_name_alone(undisturbed: Path) -> None:
    result = wunderkind("run", "--name", "calm", folder=undisturbed)
    assert "study 'calm' is done" in result.stdout, result.stderr
    assert_refused(
        wunderkind("run", "--name", "calm", "--set", "budget.macs=1000000", folder=undisturbed),
        "budget.macs is None, not 1000000",
    )


def test_a_cluster_whose_workers_lack_a_resource_is_refused(study_file: Path, tmp_path: Path) -> None:
    with LocalCluster(
        n_workers=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        address = cluster.scheduler_address
        asked = ("--scheduler", address, "--resources", "GPU=1")
        assert_refused(wunderkind("run", str(study_file), *asked, folder=tmp_path), "offers GPU=1")
    assert not list(tmp_path.rglob("config.json"))


def test_a_second_driver_is_refused(undisturbed: Path, study_file: Path) -> None:
    process = begin("run", str(study_file), "--name", "busy", "--workers", "1", folder=undisturbed)
    try:
        read_until(process, "searching")
        result = wunderkind("run", str(study_file), "--name", "busy", folder=undisturbed)
        assert_refused(result, "another process is working on study 'busy'")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_verify_passes_and_notices_a_changed_student(undisturbed: Path) -> None:
    result = wunderkind("verify", "calm", folder=undisturbed)
    assert result.returncode == 0, result.stdout
    assert "FAILED" not in result.stdout
    results = next((undisturbed / "calm" / "students").glob("*/results.json"))
    honest = results.read_text()
    claims = json.loads(honest)
    claims["seeds"][0]["test"] += 0.01
    results.write_text(json.dumps(claims))
    result = wunderkind("verify", "calm", folder=undisturbed)
    results.write_text(honest)
    assert result.returncode == 1
    assert "FAILED" in result.stdout


def test_retrain_adds_seeds_and_keeps_those_there(undisturbed: Path) -> None:
    folder = next((undisturbed / "calm" / "students").iterdir())
    report = (undisturbed / "calm" / "report" / "pareto.json").read_text()
    with opened(RunDirectory(root=undisturbed, name="calm")) as store:
        number = next(trial.number for trial in trial_records(store) if trial.architecture.digest == folder.name)
    before = json.loads((folder / "results.json").read_text())["seeds"]
    result = wunderkind("retrain", "calm", "--trial", str(number), "--seeds", "3", "--workers", "1", folder=undisturbed)
    assert result.returncode == 0, result.stdout + result.stderr
    after = json.loads((folder / "results.json").read_text())["seeds"]
    assert after[:2] == before
    assert len(after) == 3
    assert (undisturbed / "calm" / "report" / "pareto.json").read_text() != report


def test_status_and_report_read_a_study(undisturbed: Path) -> None:
    assert "parameters" in wunderkind("status", "calm", folder=undisturbed).stdout
    assert "index.html" in wunderkind("report", "calm", folder=undisturbed).stdout


def test_list_says_what_status_says(undisturbed: Path) -> None:
    lines = wunderkind("list", folder=undisturbed).stdout.splitlines()
    (calm,) = (line.split() for line in lines if line.startswith("calm "))
    with opened(RunDirectory(root=undisturbed, name="calm")) as store:
        points, students = front(trial_records(store), store.config.search.floor), student_records(store)
    best = student_front(students)[-1]
    expected = ["calm", "finished", "6", "of", "6", str(len(points)), f"{best.cost.parameters:,}", "at"]
    assert calm[:9] == [*expected, f"{100 * best.test:.2f}"]


def assert_refused(result: subprocess.CompletedProcess[str], words: str) -> None:
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "mnist-tiny"], "unknown preset 'mnist-tiny'"),
        (["run", "mnist-quick", "--set", "search.trails=3"], "unknown key search.trails"),
        (["run", "mnist-quick", "--set", 'space.families=["rnn"]'], "space.families.0"),
        (
            [
                "run",
                "mnist-quick",
                "--set",
                "space.sizes=[]",
                "--set",
                "space.smallest=500",
                "--set",
                "budget.parameters=500",
            ],
            "--set space.smallest=249",
        ),
        (["run", "mnist-quick", "--set", "space.smallest=1"], "drop those, or set space.sizes=[]"),
        (["run", "mnist-quick", "--set", "budget.parameters=20"], "no architecture of"),
        (["run", "mnist-quick", "--set", "budget.memory_bytes=1"], "memory_bytes"),
        (["run", "mnist-quick", "--set", f"search.seed={10**20}"], "search.seed"),
        (["run", "mnist-quick", "--set", "data.size=[3, 3]"], "only folders of pictures are resized"),
        (["run", "mnist-quick", "--trials", "0"], "'--trials': must be at least 1"),
        (["run", "mnist-quick", "--resources", "GPU=1"], "give its --scheduler"),
        (["run", "mnist-quick", "--resources", "GPU=nan"], "write NAME=NUMBER"),
        (["run", "mnist-quick", "--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler answers"),
        (["run"], "nothing to run"),
        (["run", "--name", "nobody"], "no study 'nobody'"),
        (["run", "mnist-quick", "--set", "data.name=none.npz"], "none is shipped for none.npz: train one"),
        (["run", "mnist-quick", "--teacher", "mnist", "--set", "data.name=none.npz"], "no data file at none.npz"),
        (["run", "mnist-quick", "--set", "budget.parameters"], "write key=value"),
        (["run", "mnist-quick", "--name", "../up"], "study name '../up'"),
        (["run", "mnist-quick", "--device", "tpu"], "device 'tpu' cannot be used"),
        (["run", "mnist-quick", "--set", "teacher=none.safetensors"], "no teacher at"),
        (["run", "mnist-quick", "--teacher", "none.npy"], "no teacher at"),
        (["run", "mnist-quick", "--set", 'assistants.architectures=["tied-cmn"]'], "unknown architecture 'tied-cmn'"),
        (["status", "nobody"], "no study 'nobody'"),
        (["verify", "nobody"], "no study 'nobody'"),
        (["dashboard", "nobody"], "no study 'nobody'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    assert_refused(wunderkind(*arguments, folder=tmp_path), words)
    assert not any(path.name == "config.json" for path in tmp_path.rglob("*"))


def test_another_configuration_under_the_same_name_is_refused(undisturbed: Path, study_file: Path) -> None:
    result = wunderkind("run", str(study_file), "--name", "calm", "--set", "budget.macs=1000000", folder=undisturbed)
    assert_refused(result, "budget.macs is None, not 1000000")


def test_a_trial_that_is_not_there_is_refused(undisturbed: Path) -> None:
    assert_refused(wunderkind("retrain", "calm", "--trial", "999", folder=undisturbed), "no trial 999")


def test_a_study_in_which_every_student_fails_is_an_error(undisturbed: Path, study_file: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed / ".views", tmp_path / ".views")
    arguments = ["run", str(study_file), "--trials", "2", "--set", "recipe.learning_rate=1e30", "--workers", "1"]
    words = "2 trials failed and none succeeded, the last with loss is"
    assert_refused(wunderkind(*arguments, folder=tmp_path), words)
    assert_refused(wunderkind(*arguments, folder=tmp_path), words)


def test_a_run_directory_that_cannot_be_written_is_refused(study_file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert_refused(wunderkind("run", str(study_file), folder=blocked), "Not a directory")
