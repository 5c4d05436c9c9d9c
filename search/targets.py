"""Which students a command means: trials by number, others by digest, name or file."""

from collections.abc import Sequence
from pathlib import Path

from kd.data.dataset import DataSet
from kd.distil.distil import check_fit
from kd.students.results import StudentResults
from space.architecture import Architecture, read
from space.budget import Budget
from space.errors import InputError
from studies.configuration.config import Config
from studies.configuration.file import changed
from studies.front import front
from studies.records import trial_records
from studies.shipped import find, names
from studies.storage.directory import DIGEST, RunDirectory
from studies.store import Store, opened, stored_config


def of_front(store: Store) -> list[Architecture]:
    """Architectures of the whole search front; raises InputError when there is none yet."""
    points = front(trial_records(store), store.config.search.floor)
    if not points:
        raise InputError(
            f"the study has no complete trial yet: go on with wunderkind run --name {store.directory.target}"
        )
    return [point.architecture for point in points]


def of_trials(store: Store, numbers: Sequence[int]) -> list[Architecture]:
    """Architectures of trials; raises InputError for a number that the study has not."""
    known = {record.number: record.architecture for record in trial_records(store)}
    for number in numbers:
        if number not in known:
            there = f"trials 0 to {max(known)}" if known else "none yet"
            raise InputError(
                f"no trial {number}: the study has {there}, see wunderkind status {store.directory.target}"
            )
    return [known[number] for number in numbers]


def of_digest(directory: RunDirectory, digest: str, asked: Config | None = None) -> Architecture:
    """Architecture of a study's retrained student or trial; raises InputError when there is none of this digest.

    Args:
        directory: the study's.
        digest: of the architecture.
        asked: the study's configuration with data and teacher where they lie now.
    """
    directory.require()
    if DIGEST.fullmatch(digest):
        if (folder := directory.student(digest)).is_dir():
            return read(folder / "architecture.json")
        with opened(directory, asked=asked) as store:
            found = {record.architecture.digest: record.architecture for record in trial_records(store)}
        if digest in found:
            return found[digest]
    raise _unknown(directory, digest)


def _unknown(directory: RunDirectory, digest: str) -> InputError:
    retrained = ", ".join(folder.name for folder in directory.student_folders)
    there = retrained or f"none yet, wunderkind retrain {directory.target} makes some"
    return InputError(f"no student '{digest}' in study '{directory.name}': it has {there}")


def resolve_student(directory: RunDirectory, text: str, asked: Config | None = None) -> Architecture:
    """The study's student or trial of this digest, else the shipped architecture of this name or the one in this file.

    `asked` is the study's configuration with data and teacher where they lie now.
    """
    return of_digest(directory, text, asked) if DIGEST.fullmatch(text) else find(text)


def resolve_target(
    root: Path, target: str, trial: int | None, student: str | None, places: Sequence[str] = ()
) -> Architecture:
    """The architecture of a name or file, or of a trial (number) or retrained student (digest) of a study.

    Args:
        root: folder of the run directories.
        target: a shipped architecture's name, a file, or with a trial or student a study's name.
        trial: number of the trial.
        student: digest of the student, which may be a trial's.
        places: where data and teacher of the study lie now, as `key=value`.

    Raises:
        InputError: when there is none, or more than one is named.
    """
    if trial is not None and student is not None:
        raise InputError("--trial and --student both name a student: give one of them")
    directory = RunDirectory(root=root, name=target)
    asked = changed(stored_config(directory), places) if places and (trial, student) != (None, None) else None
    if student is not None:
        return of_digest(directory, student, asked)
    if trial is not None:
        with opened(directory, asked=asked) as store:
            return of_trials(store, [trial])[0]
    if target not in names() and directory.config.is_file():
        raise InputError(f"'{target}' is a study: say which student with --trial or --student")
    return find(target)


def resolve_weights(root: Path, target: str, digest: str | None = None) -> Path:
    """The file of a trained student: `target` itself, or of the study of this name the best seed of a student.

    That is the student of this `digest`, else the one with the best mean validation accuracy; test accuracies choose
    nothing.

    Args:
        root: folder of the run directories.
        target: a `.safetensors` file or a study's name.
        digest: digest of a retrained student of the study.

    Raises:
        InputError: when there is none, or several of which none is known to be best.
    """
    if target.endswith(".safetensors"):
        if digest is not None:
            raise InputError(f"--student {digest}: {target} is one student's file: leave --student out")
        return Path(target)
    directory = RunDirectory(root=root, name=target)
    directory.require()
    folders = [folder for folder in directory.student_folders if digest in (None, folder.name)]
    if digest is not None and not folders:
        raise _unknown(directory, digest)
    found = {folder: StudentResults.from_json(folder / "results.json") for folder in folders}
    if not found:
        raise InputError(f"study '{target}' has no retrained student yet: wunderkind retrain {directory.target}")
    blind = any(seed.validation is None for results in found.values() for seed in results.seeds)
    if len(found) > 1 and blind:
        known = ", ".join(folder.name for folder in found)
        raise InputError(f"study '{target}' has no validation accuracies to choose by: say --student, one of {known}")
    best = max(found, key=lambda folder: (found[folder].validation_mean, -found[folder].cost["parameters"]))
    return best / f"seed-{found[best].best_seed}.safetensors"


def check_student(architecture: Architecture, data: DataSet, budget: Budget) -> None:
    """Raise InputError when a student does not fit the data or breaks the budget."""
    check_fit(architecture, data)
    if reason := budget.rejection_reason(architecture):
        raise InputError(f"{architecture.digest} breaks the study's budget ({reason}): choose a smaller student")
