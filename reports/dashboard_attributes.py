"""Notes, figures and files that optuna-dashboard keeps as attributes of a study.

Optuna lets nobody change a finished trial, and optuna-dashboard has no public function that writes the note or the file
of one. Private parts of both are used in this module alone, each inside `_requires`.
"""

import io
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import save_plotly_graph_object

UPPER_BOUNDS = {"optuna": "6", "optuna-dashboard": "0.22"}
"""As in `pyproject.toml`."""


class UnsupportedVersionError(Exception):
    """The installed version of a library lacks a private part, or it works otherwise; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardAttributes:
    """A study's attributes as they were when it was opened, its files, and the means to write what is new."""

    study: optuna.Study
    artifacts: Path
    known: Mapping[str, Any]

    @classmethod
    def of(cls, study: optuna.Study, artifacts: Path) -> "DashboardAttributes":
        """Read the attributes of a study; `artifacts` is the folder of its files, made if it is not there."""
        artifacts.mkdir(parents=True, exist_ok=True)
        with _requires("optuna", "Study._storage.get_study_system_attrs"):
            known = study._storage.get_study_system_attrs(study._study_id)
        return cls(study=study, artifacts=artifacts, known=known)

    def trial_ids(self) -> dict[int, int]:
        """Identifiers in the database, by trial number."""
        with _requires("optuna", "FrozenTrial._trial_id"):
            return {trial.number: trial._trial_id for trial in self.study.get_trials(deepcopy=False)}

    def save_note(self, trial_id: int | None, text: str) -> None:
        """Save a Markdown note of a trial, of the study for None."""
        with _requires("optuna-dashboard", "_note.get_note_from_system_attrs"):
            from optuna_dashboard._note import get_note_from_system_attrs

            old = get_note_from_system_attrs(self.known, trial_id)
            body, number = old["body"], old["version"]
        if body == text:
            return
        # the public save_note wants a live trial, and making one of a finished trial would run the sampler
        with _requires("optuna-dashboard", "_note.save_note_with_version"):
            from optuna_dashboard._note import save_note_with_version

            save_note_with_version(self.study._storage, self.study._study_id, trial_id, number + 1, text)

    def save_figure(self, name: str, figure: go.Figure) -> None:
        """Save a figure under a name."""
        with _requires("optuna-dashboard", "_custom_plot_data.get_plotly_graph_objects"):
            from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

            old = get_plotly_graph_objects(self.known).get(name)
        if old != figure.to_json():
            save_plotly_graph_object(self.study, figure, graph_object_id=name)

    def attach_svg(self, trial_id: int, filename: str, svg: str) -> None:
        """Attach an SVG file to a trial."""
        artifact = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.study.study_name}/{filename}"))
        path = self.artifacts / artifact
        if not path.is_file() or path.read_text() != svg:
            FileSystemArtifactStore(self.artifacts).write(artifact, io.BytesIO(svg.encode()))
        # upload_artifact refuses finished trials; the dashboard also finds their files under this key of the study
        key = f"dashboard:artifacts:{trial_id}:{artifact}"
        meta = json.dumps(
            {"artifact_id": artifact, "filename": filename, "mimetype": "image/svg+xml", "encoding": None}
        )
        if self.known.get(key) != meta:
            with _requires("optuna", "Study._storage.set_study_system_attr"):
                self.study._storage.set_study_system_attr(self.study._study_id, key, meta)


@contextmanager
def _requires(library: str, part: str) -> Iterator[None]:
    """Turn what a missing or changed private part raises into one line with the way out."""
    try:
        yield
    except (ImportError, AttributeError, TypeError, KeyError) as error:
        raise UnsupportedVersionError(
            f"{library} {version(library)} does not offer {part} as it is used here: the dashboard lacks notes, "
            f"figures and learning curves; install '{library}<{UPPER_BOUNDS[library]}'"
        ) from error
