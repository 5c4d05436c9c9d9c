"""What optuna-dashboard shows beside its own plots: notes, figures, a learning curve for every trained trial."""

import io
import json
import uuid
from typing import Any

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import run_server, save_plotly_graph_object
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs, save_note_with_version

from reports.figures.curve_svg import curve_svg
from reports.figures.study import TITLES, figures
from reports.formats import costs, count, counted, mean_test, percent
from reports.report_data import ReportData, gather, headline
from space.describe import describe
from studies.records import TrialRecord
from studies.store import Store, database_url


def publish(store: Store) -> None:
    """Put notes, figures and learning curves onto the study; a second call writes only what is new.

    Everything is kept as attributes of the study, because Optuna lets nobody change a finished trial.
    """
    content = gather(store)
    known = store.study._storage.get_study_system_attrs(store.study._study_id)
    store.directory.artifacts.mkdir(parents=True, exist_ok=True)
    _note(store, known, None, _study_note(content))
    plots = get_plotly_graph_objects(known)
    for name, drawn in figures(content).items():
        # the dashboard's cards have a height of their own and no title
        drawn.update_layout(height=None, margin={"t": 60}, title={"text": TITLES[name], "x": 0.02})
        if plots.get(name) != drawn.to_json():
            save_plotly_graph_object(store.study, drawn, graph_object_id=name)
    identifiers = {trial.number: trial._trial_id for trial in store.study.get_trials(deepcopy=False)}
    for trial in content.trials:
        _note(store, known, identifiers[trial.number], _trial_note(trial))
        if trial.trained:
            _attach(store, known, identifiers[trial.number], f"trial-{trial.number}.svg", curve_svg(trial))


def serve(store: Store, port: int, host: str = "127.0.0.1") -> None:
    """Serve the dashboard of a study until interrupted. It has no login: keep it on loopback."""
    artifacts = FileSystemArtifactStore(store.directory.artifacts)
    run_server(database_url(store.directory), host=host, port=port, artifact_store=artifacts)


def _note(store: Store, known: dict[str, Any], trial: int | None, note: str) -> None:
    # save_note wants a live trial, and making one of a finished trial would run the sampler
    old = get_note_from_system_attrs(known, trial)
    if old["body"] != note:
        save_note_with_version(store.study._storage, store.study._study_id, trial, old["version"] + 1, note)


def _attach(store: Store, known: dict[str, Any], trial: int, name: str, picture: str) -> None:
    artifact = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{store.directory.name}/{name}"))
    path = store.directory.artifacts / artifact
    if not path.is_file() or path.read_text() != picture:
        FileSystemArtifactStore(store.directory.artifacts).write(artifact, io.BytesIO(picture.encode()))
    # upload_artifact refuses finished trials; the dashboard also reads a trial's artifacts from this key of the study
    key = f"dashboard:artifacts:{trial}:{artifact}"
    meta = json.dumps({"artifact_id": artifact, "filename": name, "mimetype": "image/svg+xml", "encoding": None})
    if known.get(key) != meta:
        store.study._storage.set_study_system_attr(store.study._study_id, key, meta)


def _study_note(content: ReportData) -> str:
    lines = [headline(content), ""]
    if content.students:
        lines += ["| student | family | parameters | validation | test |", "| --- | --- | ---: | ---: | ---: |"]
        lines += [
            f"| {s.architecture.digest} | {s.architecture.family} | {count(s.cost.parameters)} "
            f"| {percent(s.validation)} | {mean_test(s)} |"
            for s in content.students
        ]
    return "\n".join([*lines, "", f"Full report: `{content.name}/report/index.html`", ""])


def _trial_note(trial: TrialRecord) -> str:
    facts = [
        f"**{trial.outcome}**" + (f": {trial.reason}" if trial.reason else ""),
        f"{trial.architecture.family} `{trial.architecture.digest}`: {describe(trial.architecture)}",
        costs(trial.cost),
    ]
    if trial.trained:
        facts.append(f"{percent(trial.accuracy)} validation after {counted(trial.epochs, 'epoch')}")
    return "\n\n".join(facts) + "\n"
