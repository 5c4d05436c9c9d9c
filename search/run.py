"""One study from start to report: views, search, retraining, report; any part already done is skipped."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from kd.data.dataset import DataSet, load
from kd.device import pick
from kd.distil.distil import check_fit
from kd.files import is_sound, write_whole
from kd.teachers.check import measured_teachers
from kd.teachers.measurement import TeacherMeasurement
from reports.curve_log import Format, curve_log
from reports.dashboard.publish import Dashboard, annotate, publish
from reports.facts.formats import counted
from reports.page import write_report
from reports.study import Study, open_study
from reports.summary import status
from reports.terminal import terminal
from search.driver import search
from search.engine.dask import DaskEngine
from search.engine.gpu import gpu_environment
from search.jobs.preparation import prepare
from search.jobs.retraining import retrain
from search.progress import Progress
from search.session import Session
from search.targets import check_student, of_front, of_trials
from space.architecture import Architecture
from space.errors import InputError
from space.sampling.domain import check_feasible
from studies.configuration.config import Config
from studies.configuration.file import read
from studies.front import chosen, is_done, is_searched, retraining_jobs
from studies.jobs import assistant_chain
from studies.records import TrialRecord, student_records, trial_records
from studies.storage.directory import ROOT, RunDirectory, name_of
from studies.store import Store, create, opened, placed_as, stored_config
from studies.warm_start import keep_warm_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a study runs: local workers (None: one per core) or a Dask scheduler, worker resources, device.

    Its learning curves are logged in the format `log`, if any.
    With `mps` local workers on GPUs run under a daemon that lets them compute at the same time, where there is one.
    """

    scheduler: str | None = None
    workers: int | None = None
    resources: dict[str, float] | None = None
    device: str = "cpu"
    log: Format | None = None
    mps: bool = True

    @contextmanager
    def start(self, note: Callable[[str], None]) -> Iterator[DaskEngine]:
        """Local workers, or the cluster that is joined; `note` is told what does not run as well as it could."""
        with ExitStack() as stack:
            on_gpus = self.scheduler is None and self.device == "cuda"
            environment = stack.enter_context(gpu_environment(self.mps, note)) if on_gpus else {}
            yield stack.enter_context(DaskEngine(self.scheduler, self.workers, self.resources, environment))


def run(
    config: Config | str,
    *,
    name: str | None = None,
    runs: Path | str = ROOT,
    workers: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Study:
    """Run a study from Python, or go on with a stopped one, as `wunderkind run` does.

    Workers are processes that import the main module, so a script needs `if __name__ == "__main__":` around its call.

    Args:
        config: what is asked; or a preset's name, or the path of a TOML file.
        name: of the study; None for the preset's or the file's name.
        runs: folder that holds the run directories.
        workers: worker processes; None for one per core.
        device: auto, cpu or cuda.
        quiet: whether nothing is printed.

    Raises:
        InputError: for what was asked, with nothing lost or half-written.
    """
    if isinstance(config, str):
        name, config = name_of(config) if name is None else name, read(config)
    if name is None:
        raise InputError("name: a study that comes from a Config needs one")
    directory = RunDirectory(root=Path(runs), name=name)
    run_study(directory, config, Machine(workers=workers, device=pick(device)), terminal(quiet))
    return open_study(directory.path)


def run_study(directory: RunDirectory, config: Config, machine: Machine, console: Console) -> None:
    """Run a study to its report, or go on with it, and print how it stands.

    Raises:
        InputError: for what the user asked; nothing is lost or half-written then.
    """
    started = time.monotonic()
    data, measured = _checked(directory, config, machine, console)
    infeasible = check_feasible(config.domain, data.shape, data.classes)
    with directory.locked():
        if directory.config.is_file():
            create(directory, config)
            with opened(directory, data, config, measured.fingerprint) as store:
                trials = trial_records(store)
                if is_done(trials, student_records(store, trials), config) and _is_whole(store, trials):
                    console.print(f"study '{directory.name}' is done", soft_wrap=True)
                    _print_status(store, console)
                    return
        with _session(directory, config, (data, measured), machine, console, started) as session:
            store = session.store
            searches = not is_searched(trial_records(store), config)
            prepare(session, searches)
            if searches:
                for line in infeasible:
                    session.progress.note(line)
                search(session)
            session.progress.trials = trials = trial_records(store)
            _check_outcome(trials)
            students = [trial.architecture for trial in chosen(trials, config)]
            retrain(session, students, config.retrain.seeds)
            session.progress.phase("reporting")
            _publish(store, console)


def retrain_study(
    directory: RunDirectory,
    config: Config | None,
    trials: Sequence[int],
    others: Sequence[Architecture],
    seeds: int | None,
    machine: Machine,
    console: Console,
) -> None:
    """Retrain students of a study, write its report anew and print how it stands.

    Args:
        directory: the study's, made if it is not there and has a configuration.
        config: of the study; None to take what it was asked.
        trials: numbers of trials to retrain.
        others: students to retrain that need not come from a trial; without them and trials, the whole search front.
        seeds: how often; None for as often as the study says.
        machine: where.
        console: where every event is printed.

    Raises:
        InputError: when there is no such study or trial, the study was asked otherwise, or a student breaks the budget
            or does not fit the data.
    """
    if config is None or directory.config.is_file():
        stored = stored_config(directory, config)
        config = placed_as(stored, config) if config else stored
    data, measured = _checked(directory, config, machine, console)
    for architecture in others:
        check_student(architecture, data, config.budget)
    with (
        directory.locked(),
        _session(directory, config, (data, measured), machine, console, time.monotonic()) as session,
    ):
        store = session.store
        found = of_trials(store, trials) if trials or others else of_front(store)
        for architecture in found:
            check_student(architecture, data, config.budget)
        students = list({architecture.digest: architecture for architecture in (*found, *others)}.values())
        prepare(session, searches=False)
        retrain(session, students, seeds or config.retrain.seeds)
        _publish(store, console)


@contextmanager
def _session(
    directory: RunDirectory,
    config: Config,
    found: tuple[DataSet, TeacherMeasurement],
    machine: Machine,
    console: Console,
    started: float,
) -> Iterator[Session]:
    """A session on a study, which is made if it is not there; the engine starts first: without it there is no study."""
    data, measured = found
    logs = [curve_log(machine.log, directory.path / "logs")] if machine.log else []
    with machine.start(partial(console.print, soft_wrap=True)) as engine:
        create(directory, config)
        keep_warm_start(directory, config)
        write_whole(directory.teachers, measured.to_json())
        with (
            opened(directory, data, config, measured.fingerprint) as store,
            Progress(console, store, engine) as progress,
        ):
            for note in data.notes:
                progress.note(f"data: {note}")
            yield Session(
                store=store,
                engine=engine,
                device=machine.device,
                progress=progress,
                started=started,
                listeners=(Dashboard.of(store), *logs),
            )


def _checked(
    directory: RunDirectory, config: Config, machine: Machine, console: Console
) -> tuple[DataSet, TeacherMeasurement]:
    """The data, and how good the teachers are on them, which is printed; raises InputError before anything is written.

    Teachers that the study has measured before are not measured again.
    """
    data = load(config.data)
    try:
        known = TeacherMeasurement.from_json(directory.teachers)
    except InputError:  # not there yet, or damaged: measured now
        known = None
    measured = measured_teachers(config.teacher, data, machine.device, known=known)
    for line in measured.lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    for job in assistant_chain(directory, config, data, measured.fingerprint)[0]:
        check_fit(job.architecture, data)
    return data, measured


def _is_whole(store: Store, trials: Sequence[TrialRecord]) -> bool:
    """Whether no file of a study that is done is missing or damaged."""
    directory = store.directory
    students = [trial.architecture for trial in chosen(trials, store.config)]
    folders = [directory.student(architecture.digest) for architecture in students]
    retrained = not retraining_jobs(store, students, store.config.retrain.seeds)
    return retrained and all(map(is_sound, [directory.report, *folders]))


def _check_outcome(trials: Sequence[TrialRecord]) -> None:
    """Raise InputError where every student that was to be trained failed."""
    tried = [trial for trial in trials if trial.outcome not in ("rejected", "duplicate")]
    if tried and all(trial.outcome == "failed" for trial in tried):
        raise InputError(
            f"{counted(len(tried), 'trial')} failed and none succeeded, the last with {tried[-1].reason}: fix it and "
            "run again with more --trials, or under another --name"
        )


def _publish(store: Store, console: Console) -> None:
    annotate(store, student_records(store))  # before the report, which says that a study is done
    write_report(store, pictures=True)
    if missing := publish(store):
        console.print(missing, soft_wrap=True)
    _print_status(store, console)


def _print_status(store: Store, console: Console) -> None:
    console.print(status(store))
    console.print(f"report: {store.directory.page}", soft_wrap=True)
