import io
import json
from collections.abc import Callable, Iterable
from typing import Any

import optuna_dashboard
import pytest
from optuna.artifacts import FileSystemArtifactStore

from reports import dashboard
from reports.dashboard import publish
from studies.records import trial_records
from studies.store import Store, database_url


def get(store: Store, address: str) -> tuple[str, str, bytes]:
    """Status, content type and body that the real dashboard answers with."""
    artifacts = FileSystemArtifactStore(store.directory.artifacts)
    application: Callable[..., Iterable[bytes]] = optuna_dashboard.wsgi(
        database_url(store.directory), artifact_store=artifacts
    )
    told: list[tuple[str, str]] = []

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        told.append((status, dict(headers)["Content-Type"]))

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
    answer = application(request, start)
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    assert errors.getvalue() == ""
    return *told[0], body


def attributes(store: Store) -> dict[str, Any]:
    return store.study._storage.get_study_system_attrs(store.study._study_id)


def test_the_dashboard_shows_notes_figures_and_curves(retrained: Store) -> None:
    publish(retrained)
    status, _, body = get(retrained, f"/api/studies/{retrained.study._study_id}")
    assert status.startswith("200")
    shown = json.loads(body)
    assert "99.38 ± 0.03 % (n = 3)" in shown["note"]["body"]
    assert {plot["id"] for plot in shown["plotly_graph_objects"]} == {
        "front",
        "learning-curves",
        "retrained-curves",
        "outcomes",
    }
    trials = {trial["number"]: trial for trial in shown["trials"]}
    for record in trial_records(retrained):
        trial = trials[record.number]
        assert f"**{record.outcome}**" in trial["note"]["body"]
        assert f"{record.cost.parameters:,} parameters" in trial["note"]["body"]
        assert len(trial["artifacts"]) == int(record.trained)


def test_a_learning_curve_opens_as_a_picture(searched: Store) -> None:
    publish(searched)
    key = next(key for key in attributes(searched) if key.startswith("dashboard:artifacts:"))
    trial, artifact = key.split(":")[2:]
    status, kind, body = get(searched, f"/artifacts/{searched.study._study_id}/{trial}/{artifact}")
    assert (status, kind) == ("200 OK", "image/svg+xml")
    assert body.startswith(b"<svg")


def test_feeding_twice_changes_nothing(retrained: Store) -> None:
    publish(retrained)
    before = attributes(retrained), {p: p.stat().st_mtime_ns for p in retrained.directory.artifacts.iterdir()}
    publish(retrained)
    after = attributes(retrained), {p: p.stat().st_mtime_ns for p in retrained.directory.artifacts.iterdir()}
    assert after == before


def test_an_empty_study_can_be_fed(empty: Store) -> None:
    publish(empty)
    assert list(empty.directory.artifacts.iterdir()) == []


def test_serves_on_loopback(empty: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, Any] = {}
    monkeypatch.setattr(dashboard, "run_server", lambda storage, **given: called.update(given, storage=storage))
    dashboard.serve(empty, 8123)
    assert (called["host"], called["port"]) == ("127.0.0.1", 8123)
    assert called["storage"] == database_url(empty.directory)
