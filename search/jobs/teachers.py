"""Teaching teachers: members of an ensemble side by side, an epoch a task, each from its own checkpoint."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from kd.data.dataset import DataSet
from kd.device import cores
from kd.environment import current
from kd.teachers.log import TeacherLog, log_of
from kd.teachers.network import TeacherRecipe
from kd.teachers.training import accuracies, curve_of, finish, is_finished, teach_epoch
from search.engine.dask import DaskEngine
from space.errors import InputError, first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A teacher to be: its file, and how it is taught."""

    path: Path
    recipe: TeacherRecipe


def teach(
    path: Path, recipe: TeacherRecipe, count: int, data: DataSet, device: str, note: Callable[[str], None]
) -> None:
    """Teach one teacher, or `count` with consecutive seeds, as far as they are not finished; then tell how good.

    Args:
        path: file of the one teacher; the seeds are appended to the name where there are several, and `-ensemble.json`
            then holds their common accuracies.
        recipe: how; its seed is the first's.
        count: of teachers.
        data: the training split is taught, validation and test accuracy are measured at the end.
        device: where.
        note: called with every event, in one line.

    Raises:
        InputError: for a file or checkpoint of another recipe or other data, before anything is taught; when an epoch
            fails; when another process is teaching one of them.
    """
    if path.suffix != ".safetensors":
        raise InputError(f"--out {path}: the name of a teacher's file must end in .safetensors")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path}: cannot make its folder ({error.strerror}): choose another") from error
    members = [
        Member(
            path=path if count == 1 else path.with_stem(f"{path.stem}-{seed}"),
            recipe=replace(recipe, seed=seed),
        )
        for seed in range(recipe.seed, recipe.seed + count)
    ]
    paths = [member.path for member in members]
    with _locked(paths):
        _teach(members, data, device, note)
    for file in paths:
        note(f"{file}: {_accuracies_in_words(TeacherLog.from_json(log_of(file)))}")
    if count > 1:
        validation, test = accuracies(paths, data, torch.device(device))
        ensemble = path.with_stem(f"{path.stem}-ensemble")
        log = TeacherLog(
            data=data.digest,
            parameters=sum(TeacherLog.from_json(log_of(file)).parameters for file in paths),
            members=tuple(file.name for file in paths),
            environment=current(device, torch.get_num_threads()),
            validation_accuracy=validation,
            test_accuracy=test,
        )
        log.write(ensemble)
        note(f"{log_of(ensemble)}: {_accuracies_in_words(log)}")
    note("use: " + shlex.join(part for file in paths for part in ("--teacher", str(file))))


@contextmanager
def _locked(paths: Sequence[Path]) -> Iterator[None]:
    """Hold teachers' files and checkpoints; raises InputError when another process does. The lock ends with ours."""
    with ExitStack() as stack:
        for path in paths:
            try:
                stack.enter_context(FileLock(path.with_name(f".{path.stem}.lock"), timeout=0))
            except Timeout:
                raise InputError(f"another process is teaching {path}: wait for it, or use another --out") from None
        yield


def _accuracies_in_words(log: TeacherLog) -> str:
    return f"validation accuracy {100 * log.validation_accuracy:.2f} %, test accuracy {100 * log.test_accuracy:.2f} %"


def _teach(members: Sequence[Member], data: DataSet, device: str, note: Callable[[str], None]) -> None:
    """Teach members side by side: on a CPU in single-threaded processes as far as there are cores, else in one."""
    left = [member for member in members if not is_finished(member.path, member.recipe, data)]
    done = {member: len(curve_of(member.path, member.recipe, data)) for member in left}
    if not left:
        note("all there: nothing is taught again")
        return
    workers = min(len(left), cores()) if device == "cpu" else 1
    with DaskEngine(workers=workers) as engine:
        while left or engine.tickets:
            while left and engine.free > 0:
                member = min(left, key=lambda m: done[m])
                left.remove(member)
                if done[member] == member.recipe.epochs:
                    finish(data, member.recipe, member.path, torch.device(device))
                    continue
                path = member.path.resolve()
                engine.submit(member, teach_epoch, data.source, member.recipe, path, cores() // workers, device)
            for ticket, result in engine.finished(seconds=1.0):
                assert isinstance(ticket, Member)
                if isinstance(result, InputError):
                    raise result
                if isinstance(result, Exception):
                    reason = first_line(result)
                    raise InputError(f"teaching {ticket.path} failed ({reason}): if memory was short, lower --batch")
                note(f"{ticket.path.stem}  " + "  ".join(f"{key} {value:.4g}" for key, value in result[-1].items()))
                done[ticket] = len(result)
                left.append(ticket)
