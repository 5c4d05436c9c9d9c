"""One study from start to report: views, search, retraining, report; any part already done is skipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from kd import teacher as teachers
from kd.data import load
from kd.views import CLEAN, make_view, missing
from reports.dashboard import feed
from reports.page import write_report
from search.driver import search
from search.engine import Engine
from search.progress import Progress
from search.retraining import retrain, unfinished
from search.sampler import ReproducibleSampler
from space.architecture import Architecture
from space.domain import check_feasible
from space.errors import InputError
from space.families import unfit
from studies.config import Config
from studies.directory import RunDirectory
from studies.records import front, spread, trial_records
from studies.store import Store, create, opened, teacher_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a study runs: local workers (None: one a core) or a Dask scheduler, worker resources, device."""

    scheduler: str | None = None
    workers: int | None = None
    resources: dict[str, float] | None = None
    device: str = "cpu"

    def start(self) -> Engine:
        """Start or join the engine."""
        return Engine(self.scheduler, self.workers, self.resources)


def run_study(directory: RunDirectory, config: Config, machine: Machine, console: Console) -> Path:
    """Run a study to its end, or go on with it; returns the report's page.

    Raises:
        InputError: for what the user asked; nothing is lost or half-written then.
    """
    data = load(config.data)
    teachers.check(teachers.load(teacher_path(config), torch.device("cpu")), data)
    check_feasible(config.space, config.budget, data.shape, data.classes)
    for family in config.space.families:
        if reason := unfit(family, data.shape):
            console.print(f"left out: {reason}", soft_wrap=True)
    with directory.locked():
        create(directory, config)
        with opened(directory) as store:
            page = directory.report / "index.html"
            if is_done(store) and page.is_file():
                console.print(f"study '{directory.name}' is done; its report: {page}", soft_wrap=True)
                return page
            store.study.sampler = ReproducibleSampler(config.search.seed, config.search.startup)
            with Progress(console, store) as progress, machine.start() as engine:
                make_views(store, engine, machine.device, progress)
                if not is_searched(store):
                    progress.phase("searching")
                    search(store, engine, machine.device, progress.note, lambda: progress.tick(engine))
                retrain_students(store, engine, chosen(store), config.retrain.seeds, machine.device, progress)
                progress.phase("reporting")
            feed(store)
            return write_report(store)


def retrain_study(
    directory: RunDirectory, students: Sequence[Architecture], seeds: int, machine: Machine, console: Console
) -> Path:
    """Retrain given students of a study and write its report anew; returns the report's page."""
    with directory.locked(), opened(directory) as store:
        for architecture in students:
            objection = store.config.budget.objection(architecture)
            if objection:
                raise InputError(
                    f"{architecture.digest} breaks the study's budget ({objection}): choose a smaller student"
                )
        with Progress(console, store) as progress, machine.start() as engine:
            make_views(store, engine, machine.device, progress)
            retrain_students(store, engine, students, seeds, machine.device, progress)
        feed(store)
        return write_report(store)


def chosen(store: Store) -> list[Architecture]:
    """Students of the front that are to be retrained."""
    points = spread(front(trial_records(store), store.config.search.floor), store.config.retrain.points)
    return [point.architecture for point in points]


def is_searched(store: Store) -> bool:
    """Whether the study has its number of trials, all of them concluded."""
    records = trial_records(store)
    begun = [r for r in records if r.outcome not in ("rejected", "duplicate")]
    return len(begun) >= store.config.search.trials and all(r.outcome != "running" for r in records)


def is_done(store: Store) -> bool:
    """Whether search and retraining are over."""
    return is_searched(store) and not unfinished(store, chosen(store), store.config.retrain.seeds)


def make_views(store: Store, engine: Engine, device: str, progress: Progress) -> None:
    """Write the views that are missing."""
    config = store.config
    recipes = (config.recipe, config.retrain.recipe)
    clean = any(recipe.clean_epochs for recipe in recipes)
    lacking = missing(store.views, max(recipe.views for recipe in recipes), clean)
    if not lacking:
        return
    progress.phase(f"preparing {len(lacking)} views with the teacher's logits")
    for index in lacking:
        engine.submit("clean" if index == CLEAN else index, make_view, store.views, index, device)
    while engine.tickets:
        progress.tick(engine)
        for ticket, result in engine.finished(seconds=1.0):
            if isinstance(result, Exception):
                raise result
            progress.note(f"view {ticket} is ready")


def retrain_students(
    store: Store,
    engine: Engine,
    students: Sequence[Architecture],
    seeds: int,
    device: str,
    progress: Progress,
) -> None:
    """Retrain students that lack seeds."""
    progress.phase(f"retraining {len(students)} students, {seeds} seeds each")
    retrain(store, engine, students, seeds, device, progress.note, lambda: progress.tick(engine))
