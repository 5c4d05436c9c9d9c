"""Notes, figures and files that optuna-dashboard keeps as attributes of a study.

Optuna lets nobody change a finished trial, and optuna-dashboard has no public function that writes the note or the file
of one. Private parts of both are used in this module alone, each inside `_requires`. What is written is collected, and
goes to the database in one transaction: a note then costs the same for the first trial and the ten-thousandth.
"""

import io
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from optuna.artifacts import FileSystemArtifactStore

from studies.storage.attribute_table import AttributeTable

UPPER_BOUNDS = {"optuna": "6", "optuna-dashboard": "0.22"}
"""As in `pyproject.toml`."""
FIGURES = "dashboard:plot_data:"
"""What the keys of figures start with."""
KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".csv": "text/csv"}
"""What a file is, by its suffix."""


class UnsupportedVersionError(Exception):
    """The installed version of a library lacks a private part, or it works otherwise; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardAttributes:
    """A study's attributes as they were when they were read, with what was written since, and its files.

    `pending` are those that `flush` writes.
    """

    name: str
    table: AttributeTable
    artifacts: Path
    known: dict[str, Any]
    pending: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, table: AttributeTable, artifacts: Path) -> "DashboardAttributes":
        """Read the attributes of a study by its name; `artifacts` is the folder of its files, made if needed."""
        artifacts.mkdir(parents=True, exist_ok=True)
        return cls(name=name, table=table, artifacts=artifacts, known=table.read())

    def save_note(self, trial_id: int | None, text: str) -> None:
        """Save a Markdown note of a trial, of the study for None."""
        with _requires("optuna-dashboard", "_note.split_body"):
            from optuna_dashboard._note import note_str_key_prefix, note_ver_key, split_body

            key, prefix, parts = note_ver_key(trial_id), note_str_key_prefix(trial_id), split_body(text, trial_id)
        number = len(parts)
        while f"{prefix}{number}" in self.known:  # of a longer note before
            parts[f"{prefix}{number}"] = ""
            number += 1
        if any(self.known.get(name) != part for name, part in parts.items()):
            self._set({**parts, key: int(self.known.get(key, 0)) + 1})

    def save_figure(self, name: str, figure: go.Figure) -> None:
        """Save a figure under a name."""
        with _requires("optuna-dashboard", "_custom_plot_data.split_plot_data"):
            from optuna_dashboard._custom_plot_data import split_plot_data

            prefix = f"{FIGURES}{name}:"
            parts: dict[str, str] = split_plot_data(figure.to_json(), prefix)
        number = len(parts)
        while f"{prefix}{number}" in self.known:
            parts[f"{prefix}{number}"] = ""
            number += 1
        if any(self.known.get(key) != part for key, part in parts.items()):
            self._set(parts)

    def attach(self, trial_id: int | None, filename: str, content: str | bytes) -> str:
        """Attach a file to a trial, to the study for None; returns its identifier, which follows from its name."""
        artifact = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.name}/{filename}"))
        path, data = self.artifacts / artifact, content.encode() if isinstance(content, str) else content
        if not path.is_file() or path.read_bytes() != data:
            FileSystemArtifactStore(self.artifacts).write(artifact, io.BytesIO(data))
        # upload_artifact refuses finished trials; the dashboard also finds their files under this key of the study
        key = f"artifacts:{artifact}" if trial_id is None else f"dashboard:artifacts:{trial_id}:{artifact}"
        kind = KINDS[Path(filename).suffix]
        meta = json.dumps({"artifact_id": artifact, "filename": filename, "mimetype": kind, "encoding": None})
        if self.known.get(key) != meta:
            self._set({key: meta})
        return artifact

    def flush(self) -> None:
        """Write what is pending, in one transaction."""
        self.table.write(self.pending)
        self.pending.clear()

    def _set(self, values: dict[str, Any]) -> None:
        self.known.update(values)
        self.pending.update(values)


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
