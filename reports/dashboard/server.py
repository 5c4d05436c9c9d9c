"""Serving optuna-dashboard: one study, or every study under a root as one storage."""

import copy
import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from optuna.artifacts import FileSystemArtifactStore
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard import run_server

from studies.storage.database import database_url
from studies.storage.directory import RunDirectory, study_names
from studies.store import Store

TRIALS = 10_000_000
"""Trials that a study may have: they are numbered from here on for each."""
OF_TRIAL = re.compile(r"^(dashboard:(?:artifacts:)?)(\d+)(:.*)$")
"""Attributes of a study that are of one of its trials."""
ADDRESS = re.compile(r"/artifacts/\d+/(\d+)/")
"""Of a trial's file in a note."""


def serve(store: Store, port: int, host: str = "127.0.0.1") -> None:
    """Serve the dashboard of a study until interrupted. It has no login: keep it on loopback."""
    artifacts = FileSystemArtifactStore(store.directory.artifacts)
    run_server(database_url(store.directory.database), host=host, port=port, artifact_store=artifacts)


def serve_all(root: Path, port: int, host: str = "127.0.0.1") -> None:
    """Serve the dashboard of every study under a root until interrupted; new ones appear as they begin."""
    run_server(StudiesUnderRoot(root), host=host, port=port, artifact_store=ArtifactsUnderRoot(root))


class StudiesUnderRoot(BaseStorage):
    """Databases of several studies as one storage for the dashboard: what it may do is read, and write notes."""

    def __init__(self, root: Path) -> None:
        """Look for studies under a root."""
        self._root = root
        self._storages: dict[str, RDBStorage] = {}
        self._look()

    def get_all_studies(self) -> list[FrozenStudy]:
        """Every study that has a database, under identifiers of its own."""
        self._look()
        found = []
        for place, (name, storage) in enumerate(self._storages.items(), 1):
            for study in storage.get_all_studies():
                mine = copy.copy(study)
                mine._study_id, mine.study_name = place, name
                mine.system_attrs = self._renamed(place, study.system_attrs)
                found.append(mine)
        return found

    def get_study_id_from_name(self, study_name: str) -> int:
        """Its place."""
        return list(self._storages).index(study_name) + 1

    def get_study_name_from_id(self, study_id: int) -> str:
        """The name at its place."""
        return list(self._storages)[study_id - 1]

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Whether each objective is maximised."""
        storage, own = self._study(study_id)
        return storage.get_study_directions(own)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """User attributes."""
        storage, own = self._study(study_id)
        return storage.get_study_user_attrs(own)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """System attributes; notes and files of trials under their identifiers here."""
        storage, own = self._study(study_id)
        return self._renamed(study_id, storage.get_study_system_attrs(own))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write a note."""
        storage, own = self._study(study_id)
        storage.set_study_system_attr(own, _moved(key, -study_id * TRIALS), value)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials, under identifiers of their own."""
        storage, own = self._study(study_id)
        return [self._trial(study_id, t) for t in storage.get_all_trials(own, deepcopy=deepcopy, states=states)]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """One trial."""
        study_id, own = divmod(trial_id, TRIALS)
        return self._trial(study_id, self._study(study_id)[0].get_trial(own))

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Nothing is made from here."""
        _refuse()

    def delete_study(self, study_id: int) -> None:
        """Nothing is deleted from here."""
        _refuse()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """As above."""
        _refuse()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As above."""
        _refuse()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """As above."""
        _refuse()

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """As above."""
        _refuse()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """As above."""
        _refuse()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """As above."""
        _refuse()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """As above."""
        _refuse()

    def _look(self) -> None:
        """Open the databases that are new."""
        for name in study_names(self._root):
            database = RunDirectory(root=self._root, name=name).database
            if name not in self._storages and database.is_file():
                options = {"connect_args": {"timeout": 60}}
                self._storages[name] = RDBStorage(database_url(database), engine_kwargs=options)

    def _study(self, study_id: int) -> tuple[RDBStorage, int]:
        """The storage of a study, and its identifier there."""
        storage = list(self._storages.values())[study_id - 1]
        return storage, storage.get_all_studies()[0]._study_id

    def _trial(self, study_id: int, trial: FrozenTrial) -> FrozenTrial:
        mine = copy.copy(trial)
        mine._trial_id = study_id * TRIALS + trial._trial_id
        return mine

    def _renamed(self, study_id: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes with trials' identifiers as they are here, also in the addresses of their files."""

        def address(found: re.Match[str]) -> str:
            return f"/artifacts/{study_id}/{study_id * TRIALS + int(found[1])}/"

        return {
            _moved(key, study_id * TRIALS): ADDRESS.sub(address, value) if isinstance(value, str) else value
            for key, value in attributes.items()
        }


class ArtifactsUnderRoot:
    """Files of every study under a root, by identifiers that are unique."""

    def __init__(self, root: Path) -> None:
        """Look for files under a root."""
        self._root = root

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file."""
        for name in study_names(self._root):
            path = RunDirectory(root=self._root, name=name).artifacts / artifact_id
            if path.is_file():
                return path.open("rb")
        raise FileNotFoundError(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Nothing is written from here."""
        _refuse()

    def remove(self, artifact_id: str) -> None:
        """Nothing is deleted from here."""
        _refuse()


def _moved(key: str, by: int) -> str:
    found = OF_TRIAL.match(key)
    return f"{found[1]}{int(found[2]) + by}{found[3]}" if found else key


def _refuse() -> NoReturn:
    raise RuntimeError("studies are looked at here, not changed: open one with wunderkind dashboard NAME")
