import contextlib
import importlib
import io
import json
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna_dashboard
import psutil
import pytest
import sqlalchemy
from optuna.artifacts import FileSystemArtifactStore
from packaging.requirements import Requirement

from reports.dashboard.attributes import UPPER_BOUNDS
from reports.dashboard.publish import Dashboard, publish
from reports.dashboard.server import ArtifactsUnderRoot, StudiesUnderRoot
from studies.records import student_records, trial_records
from studies.storage.database import database_url
from studies.storage.directory import RunDirectory
from studies.store import Store, create, opened

ROOT = Path(__file__).parents[2]


def get(store: Store, address: str) -> tuple[str, str, bytes]:
    """Status, content type and body of what the real dashboard returns."""
    artifacts = FileSystemArtifactStore(store.directory.artifacts)
    url = database_url(store.directory.database)
    return asked(optuna_dashboard.wsgi(url, artifact_store=artifacts), address)


def asked(application: Callable[..., Iterable[bytes]], address: str) -> tuple[str, str, bytes]:
    """The same of an application."""
    started: list[tuple[str, str]] = []

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        started.append((status, dict(headers)["Content-Type"]))

    errors = io.StringIO()
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": address,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": errors,
        "wsgi.url_scheme": "http",
    }
    response = application(request, start)
    body = b"".join(response)
    if hasattr(response, "close"):
        response.close()
    assert errors.getvalue() == ""
    return *started[0], body


def attributes(store: Store) -> dict[str, Any]:
    return store.study._storage.get_study_system_attrs(store.study._study_id)


def test_the_dashboard_shows_notes_figures_and_curves(retrained: Store) -> None:
    assert publish(retrained) is None
    status, _, body = get(retrained, f"/api/studies/{retrained.study._study_id}")
    assert status.startswith("200")
    shown = json.loads(body)
    assert "99.38 ± 0.03 % (n = 3)" in shown["note"]["body"]
    assert {plot["id"] for plot in shown["plotly_graph_objects"]} == {
        "front",
        "growth",
        "funnel",
        "learning-curves",
        "retrained-curves",
        "outcomes",
    }
    trials = {trial["number"]: trial for trial in shown["trials"]}
    for record in trial_records(retrained):
        trial = trials[record.number]
        assert trial["note"]["body"].startswith(f"**{record.outcome}")
        assert f"{record.cost.parameters:,} parameters" in trial["note"]["body"]
        files = {artifact["filename"] for artifact in trial["artifacts"]}
        known = {f"trial-{record.number}.svg"} if record.outcome not in ("rejected", "duplicate") else set()
        if record.trained:
            known |= {f"trial-{record.number}-curve.svg", f"trial-{record.number}.json"}
        assert files == known


def test_a_learning_curve_opens_as_an_image(searched: Store) -> None:
    publish(searched)
    curves = {
        key: json.loads(value)["filename"]
        for key, value in attributes(searched).items()
        if key.startswith("dashboard:artifacts:")
    }
    trial, artifact = next(key.split(":")[2:] for key, name in curves.items() if name.endswith("-curve.svg"))
    status, kind, body = get(searched, f"/artifacts/{searched.study._study_id}/{trial}/{artifact}")
    assert (status, kind) == ("200 OK", "image/svg+xml")
    assert body.startswith(b"<svg")


def test_publishing_twice_changes_nothing(retrained: Store) -> None:
    publish(retrained)
    before = attributes(retrained), {p: p.stat().st_mtime_ns for p in retrained.directory.artifacts.iterdir()}
    publish(retrained)
    after = attributes(retrained), {p: p.stat().st_mtime_ns for p in retrained.directory.artifacts.iterdir()}
    assert after == before


def test_an_empty_study_can_be_published(empty: Store) -> None:
    publish(empty)
    assert list(empty.directory.artifacts.iterdir()) == []


@pytest.mark.parametrize(
    ("library", "part"),
    [
        ("optuna_dashboard._note", "split_body"),
        ("optuna_dashboard._custom_plot_data", "split_plot_data"),
    ],
)
def test_a_version_without_a_private_part_is_named(
    retrained: Store, monkeypatch: pytest.MonkeyPatch, library: str, part: str
) -> None:
    monkeypatch.delattr(importlib.import_module(library), part)
    line = publish(retrained)
    assert line is not None
    assert line.startswith(f"optuna-dashboard {version('optuna-dashboard')} does not offer ")
    assert f"{library.partition('.')[2]}.{part}" in line
    assert line.endswith("; install 'optuna-dashboard<0.22'")
    assert "\n" not in line


def test_a_version_without_a_private_module_is_named(retrained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard._note", None)
    assert "does not offer _note.split_body" in (publish(retrained) or "")


def test_a_private_function_with_other_parameters_is_named(retrained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optuna_dashboard._note.split_body", lambda note: None)
    assert "does not offer _note.split_body" in (publish(retrained) or "")


def test_upper_bounds_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(line) for line in project["dependencies"]]
    bounds = {r.name: s.version for r in requirements for s in r.specifier if s.operator == "<"}
    assert UPPER_BOUNDS.items() <= bounds.items()


def test_serves_on_loopback_alone(empty: Store) -> None:
    publish(empty)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    directory = empty.directory
    code = (
        "from pathlib import Path\n"
        "from reports.dashboard.server import serve\n"
        "from studies.storage.directory import RunDirectory\n"
        "from studies.store import opened\n"
        f"with opened(RunDirectory(root=Path({str(directory.root)!r}), name={directory.name!r})) as store:\n"
        f"    serve(store, {port})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    try:
        shown = json.loads(fetched(process, f"http://127.0.0.1:{port}/api/studies"))
        assert [study["study_name"] for study in shown["study_summaries"]] == [directory.name]
        listening = [c for c in psutil.Process(process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert [(c.laddr.ip, c.laddr.port) for c in listening] == [("127.0.0.1", port)]
    finally:
        process.kill()
        process.communicate()


def fetched(process: "subprocess.Popen[bytes]", address: str) -> bytes:
    """Body of the first response of a server that is starting."""
    for _ in range(600):
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(address, timeout=10) as response:
            body: bytes = response.read()
            return body
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    raise AssertionError(f"{address} gave no response")


def test_every_study_under_a_root_is_one_storage(retrained: Store, tmp_path: Path) -> None:
    publish(retrained)
    directory = retrained.directory
    other = RunDirectory(root=directory.root, name="other")
    create(other, retrained.config)
    with opened(other, retrained.data) as store:
        publish(store)
    storage = StudiesUnderRoot(directory.root)
    studies = {study.study_name: study for study in storage.get_all_studies()}
    assert set(studies) == {"other", "tiny"}
    number = studies["tiny"]._study_id
    trials = storage.get_all_trials(number)
    assert [trial.number for trial in trials] == [record.number for record in trial_records(retrained)]
    assert len({trial._trial_id for trial in trials}) == len(trials)
    for trial in trials:
        assert storage.get_trial(trial._trial_id).number == trial.number
    assert storage.get_all_trials(studies["other"]._study_id) == []
    artifacts = ArtifactsUnderRoot(directory.root)
    application = optuna_dashboard.wsgi(storage, artifact_store=artifacts)
    status, _, body = asked(application, f"/api/studies/{number}")
    assert status.startswith("200")
    for trial in json.loads(body)["trials"]:
        assert trial["note"]["body"]
        for artifact in trial["artifacts"]:
            address = f"/artifacts/{number}/{trial['trial_id']}/{artifact['artifact_id']}"
            assert asked(application, address)[0] == "200 OK"
            if artifact["filename"] == f"trial-{trial['number']}.svg":
                assert f"]({address})" in trial["note"]["body"]
    with pytest.raises(RuntimeError, match="looked at here, not changed"):
        storage.delete_study(number)


def test_what_the_driver_writes_a_trial_does_not_grow_with_the_study(searched: Store) -> None:
    counted: list[str] = []
    listener = lambda *given: counted.append(given[2])  # noqa: E731
    dashboard = Dashboard.of(searched)
    records, ids = trial_records(searched), searched.trials.ids()
    dashboard.concluded(records[0], ids[0], records)  # with the study's own note
    sqlalchemy.event.listen(searched.ledger.engine, "before_cursor_execute", listener)
    for record in records[1:4]:
        counted.clear()
        dashboard.concluded(record, ids[record.number], records)
        assert len(counted) == 2, counted  # one deletes what was there, one inserts
    assert dashboard.missing is None
    note = attributes(searched)[f"dashboard:{ids[1]}:note_str:0"]
    assert note.startswith("**complete**")


def test_a_note_says_where_and_why_a_trial_was_pruned(searched: Store) -> None:
    publish(searched)
    pruned = next(record for record in trial_records(searched) if record.outcome == "pruned")
    identifier = searched.trials.ids()[pruned.number]
    note = attributes(searched)[f"dashboard:{identifier}:note_str:0"]
    assert note.startswith("**pruned at rung 1**: weak after 1 epoch: enough others")
    assert "| layer | output | parameters | MACs |" in note


def test_confusion_matrices_are_files_of_the_trials_of_students(told: Store) -> None:
    publish(told)
    names = [json.loads(v)["filename"] for k, v in attributes(told).items() if k.startswith("dashboard:artifacts:")]
    expected = {f"trial-{student.trial}-confusion.svg" for student in student_records(told)}
    assert expected <= set(names)
