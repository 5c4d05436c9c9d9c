"""The real driver, store, sampler and display, with an engine that trains nothing."""

import contextlib
import io
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from rich.console import Console
from sqlalchemy import event

from kd.data.dataset import DataSet
from kd.distil.train import RungResult, RungTask
from kd.students.curve import Epoch
from kd.teachers.source import TeacherSource
from search import candidates
from search.driver import FAILURES, search
from search.engine.fake import FakeEngine
from search.progress import Progress
from search.session import Session
from space.architecture import Architecture
from space.budget import Budget
from space.errors import InputError
from studies.configuration.config import Config, Retrain, Search, Space
from studies.front import front
from studies.overview import StudySummary, summarise
from studies.records import TrialRecord, trial_records
from studies.storage.directory import RunDirectory
from studies.store import create, opened

optuna.logging.set_verbosity(optuna.logging.WARNING)

SECONDS = 10.0
"""Of a simulated epoch."""

SEARCH = Search(trials=8, rungs=(1, 3, 9), startup=4, sampler="tpe", pruner="peers", peers=1, floor=0)


class Killed(BaseException):
    """Raised where a driver is killed."""


Curve = Callable[[Architecture, float], float]
"""Validation accuracy of an architecture after some epochs; not a number where training fails."""


def accuracy(architecture: Architecture, epoch: float) -> float:
    """More epochs and parameters make it better, with luck that depends on the architecture and the epoch."""
    luck = random.Random(f"{architecture.digest} {epoch}").uniform(0.2, 1)
    return 1 - luck * (1 / (1 + epoch) + 10 / math.sqrt(architecture.cost().parameters)) / 2


def point(curve: Curve, architecture: Architecture, epoch: float, seconds: float) -> Epoch:
    found = curve(architecture, epoch)
    return Epoch(epoch=epoch, train_loss=1.0, validation_accuracy=found, validation_loss=1 - found, seconds=seconds)


def latency(architecture: Architecture) -> float:
    """Simulated milliseconds of a student."""
    return random.Random(architecture.digest).uniform(0.01, 2)


@dataclass(kw_only=True)
class Simulation:
    """Rung tasks from a curve; remembers them, and kills the driver when it submits task number `killed`.

    An epoch takes `pace` seconds; `free` are the workers that were idle when a task came, less the tasks that waited.
    """

    curve: Curve = accuracy
    killed: int = -1
    pace: float = SECONDS
    tasks: list[tuple[str, float, float, bytes | None]] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    engine: FakeEngine | None = None

    def __call__(self, task: RungTask, checkpoint: bytes | None) -> RungResult:
        architecture, start, stop = task.architecture, task.start, task.stop
        if len(self.tasks) == self.killed:
            raise Killed
        self.tasks.append((architecture.digest, start, stop, checkpoint))
        assert self.engine is not None
        self.free.append(self.engine.free)
        assert checkpoint == (None if start == 0 else f"{architecture.digest} {start:g}".encode())
        points = [point(self.curve, architecture, e, self.pace) for e in range(int(start) + 1, int(stop) + 1)]
        good = [p for p in points if not math.isnan(p.validation_accuracy)]
        spent, state = self.pace * len(points), f"{architecture.digest} {stop:g}".encode()
        if len(good) < len(points):
            return RungResult(curve=tuple(good), checkpoint=b"", seconds=spent, failure="loss is nan")
        return RungResult(curve=tuple(points), checkpoint=state, seconds=spent)


@dataclass(kw_only=True)
class Timed(Simulation):
    """The same, of a study that minimises latencies, too."""

    timed: list[str] = field(default_factory=list)

    def __call__(self, task: RungTask | Architecture, checkpoint: bytes | None = None) -> Any:
        if isinstance(task, Architecture):
            self.timed.append(task.digest)
            return latency(task)
        return super().__call__(task, checkpoint)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk() -> Iterator[None]:
    """Commits that a power failure could undo: nine tenths of the time went into them."""

    def relax(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(sqlalchemy.Engine, "connect", relax)
    yield
    event.remove(sqlalchemy.Engine, "connect", relax)


@pytest.fixture
def configuration(teacher_path: Path) -> Config:
    return Config(
        teacher=TeacherSource(models=(str(teacher_path),)), space=Space(families=("mlp", "cnn")), search=SEARCH
    )


Run = Callable[..., str]


@pytest.fixture
def run(configuration: Config, small_data: DataSet, tmp_path: Path) -> Run:
    """A function that runs a study by name, or goes on with it, and returns what was printed."""

    def function(name: str, simulation: Simulation, workers: int = 1, **settings: Any) -> str:
        others = {key: settings.pop(key) for key in ("space", "budget") if key in settings}
        config = replace(configuration, search=replace(SEARCH, **settings), **others)
        directory = RunDirectory(root=tmp_path, name=name)
        create(directory, config)
        printed, engine = io.StringIO(), FakeEngine(simulation, workers)
        simulation.engine = engine
        with opened(directory, small_data) as store:
            console = Console(file=printed, width=200)
            session = Session(
                store=store,
                engine=engine,
                device="cpu",
                progress=Progress(console, store, engine, engine.clock),
                started=0.0,
                clock=engine.clock,
            )
            with contextlib.suppress(Killed):
                search(session)
            printed.write(session.progress.headline(trial_records(store)))
        return printed.getvalue()

    return function


@pytest.fixture
def records(small_data: DataSet, tmp_path: Path) -> Callable[[str], list[TrialRecord]]:
    def function(name: str) -> list[TrialRecord]:
        with opened(RunDirectory(root=tmp_path, name=name), small_data) as store:
            return trial_records(store)

    return function


Records = Callable[[str], list[TrialRecord]]


def test_the_startup_finishes_the_first_rung_before_any_goes_on(run: Run, records: Records) -> None:
    simulation = Simulation()
    run("a", simulation)
    numbers = {record.architecture.digest: record.number for record in records("a")}
    order = [(numbers[digest], stop) for digest, _, stop, _ in simulation.tasks]
    first = [number for number, stop in order[: SEARCH.startup]]
    assert order[: SEARCH.startup] == [(number, 1) for number in sorted(first)]
    later = order[SEARCH.startup :]
    startup = [task for task in later if task[0] in first]
    assert later[: len(startup)] == startup == sorted(startup, key=lambda task: (task[1], task[0]))
    # afterwards one candidate at a time goes as far as it gets
    others = later[len(startup) :]
    assert others == sorted(others)


def seconds(printed: str) -> int:
    """Simulated seconds until the last event."""
    hours, minutes, rest = re.findall(r"^ *(\d+):(\d\d):(\d\d)  ", printed, re.MULTILINE)[-1]
    return 3600 * int(hours) + 60 * int(minutes) + int(rest)


def test_workers_are_busy_while_there_is_work(run: Run, records: Records) -> None:
    alone, together = run("one", Simulation(), peers=99), run("four", Simulation(), 4, peers=99)
    for name in ("one", "four"):
        assert [record.outcome for record in records(name)] == ["complete"] * SEARCH.trials
    assert seconds(alone) == SEARCH.trials * 9 * SECONDS
    assert seconds(together) == seconds(alone) / 4


def test_latencies_are_measured_once_and_a_resumed_study_decides_alike(run: Run, records: Records) -> None:
    settings: dict[str, Any] = {"objectives": ("latency_ms",), "sampler": "predictor", "trials": 12}
    whole, broken, resumed = Timed(), Timed(killed=9), Timed()
    run("whole", whole, **settings)
    run("broken", broken, **settings)
    run("broken", resumed, **settings)
    for timed in (whole.timed, broken.timed + resumed.timed):
        assert len(timed) == len(set(timed)) == 12
    assert records("whole") == records("broken")
    trained = [record for record in records("whole") if record.trained]
    for record in trained:
        assert record.sizes == (record.latency_ms,) == (latency(record.architecture),)
    points = front(trained, 0)
    assert [point.latency_ms for point in points] == sorted(point.latency_ms or 0 for point in points)
    assert min(record.latency_ms or 9 for record in trained if record.outcome == "complete") == points[0].latency_ms


@pytest.mark.parametrize(("pace", "workers", "least"), [(0.1, 4, -3), (0.1, 1, 1), (SECONDS, 4, 1)])
def test_short_rungs_are_handed_out_before_a_worker_is_idle(
    run: Run, records: Records, pace: float, workers: int, least: int
) -> None:
    first, second = Simulation(pace=pace), Simulation(pace=pace)
    assert run("a", first, workers, trials=20) == run("b", second, workers, trials=20)
    assert first.tasks == second.tasks
    assert records("a") == records("b")
    assert min(first.free) == least  # as many tasks wait as there are workers, or none
    assert len(records("a")) >= 20
    assert {record.outcome for record in records("a")} <= {"complete", "pruned", "rejected", "duplicate"}
    assert len(first.tasks) == len({(digest, start) for digest, start, _, _ in first.tasks})


def test_what_was_handed_out_ahead_is_gone_on_with_after_a_kill(run: Run, records: Records) -> None:
    killed = Simulation(pace=0.1, killed=17)
    run("a", killed, 4, trials=20)
    assert min(killed.free) == -3
    lost = [record.number for record in records("a") if record.outcome == "unfinished"]
    assert len(lost) > 4
    run("a", Simulation(pace=0.1), 4, trials=20)
    begun = [record for record in records("a") if record.outcome not in ("rejected", "duplicate")]
    assert {record.outcome for record in begun} == {"complete", "pruned"}
    assert len(begun) == 20


def test_the_same_study_of_several_workers_comes_out_the_same(run: Run, records: Records) -> None:
    first, second = Simulation(), Simulation()
    assert run("a", first, 3) == run("b", second, 3)
    assert first.tasks == second.tasks
    assert records("a") == records("b")


@pytest.mark.parametrize("pace", [SECONDS, 0.1])
def test_weak_candidates_are_pruned_at_every_rung_but_none_of_the_front(
    run: Run, records: Records, pace: float
) -> None:
    run("a", Simulation(pace=pace), 2, trials=16, startup=6)
    found = records("a")
    pruned = {record.epochs for record in found if record.outcome == "pruned"}
    assert pruned
    assert pruned <= {1, 3}
    for record in found:
        rivals = [
            other
            for other in found
            if other is not record
            and other.epochs >= record.epochs
            and other.cost.parameters <= record.cost.parameters
            and (accuracy(other.architecture, record.epochs) >= accuracy(record.architecture, record.epochs))
        ]
        assert rivals or record.outcome == "complete"


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.99])
def test_a_killed_driver_goes_on_as_if_nothing_had_happened(run: Run, records: Records, share: float) -> None:
    calm, resumed = Simulation(), Simulation()
    run("calm", calm)
    killed = Simulation(killed=int(share * len(calm.tasks)))
    run("killed", killed)
    assert any(record.outcome == "unfinished" for record in records("killed"))
    run("killed", resumed)
    assert records("killed") == records("calm")
    assert sorted(killed.tasks + resumed.tasks) == sorted(calm.tasks)


def failing(architecture: Architecture, epoch: float) -> float:
    """A third of the students fail, in epoch 6."""
    fails = epoch >= 6 and int(architecture.digest, 16) % 3 == 0
    return math.nan if fails else accuracy(architecture, epoch)


def test_a_failed_trial_keeps_what_it_trained(run: Run, records: Records) -> None:
    printed = run("a", Simulation(curve=failing), peers=99)
    failed = [record for record in records("a") if record.outcome == "failed"]
    assert failed
    for record in failed:
        assert record.reason == "loss is nan"
        assert [epoch.epoch for epoch in record.curve] == [1, 2, 3, 4, 5]
        assert record.epochs == 5
        assert record.seconds == 9 * SECONDS
        assert f"trial {record.number} failed: loss is nan" in printed


@pytest.mark.parametrize("later", [1, 2, 3])
def test_a_resumed_study_prunes_by_failed_trials_as_well(run: Run, records: Records, later: int) -> None:
    def failing_early(architecture: Architecture, epoch: float) -> float:
        fails = epoch >= 3 and int(architecture.digest, 16) % 2 == 0
        return math.nan if fails else accuracy(architecture, epoch)

    calm = Simulation(curve=failing_early)
    run("calm", calm, trials=12)
    fails = [stop > 1 and int(digest, 16) % 2 == 0 for digest, _, stop, _ in calm.tasks]
    run("killed", Simulation(curve=failing_early, killed=fails.index(True) + later), trials=12)
    assert any(record.outcome == "failed" for record in records("killed"))
    run("killed", Simulation(curve=failing_early), trials=12)
    assert records("killed") == records("calm")


def test_failures_in_a_row_stop_a_study(run: Run, records: Records) -> None:
    broken = Simulation(curve=lambda architecture, epoch: math.nan)
    with pytest.raises(InputError, match=rf"^{FAILURES} trials in a row failed, the last with loss is nan: fix it"):
        run("a", broken)
    assert [record.outcome for record in records("a")] == ["failed"] * FAILURES

    def every_other(architecture: Architecture, epoch: float) -> float:
        return accuracy(architecture, epoch) if len(mixed.tasks) % 2 else math.nan

    mixed = Simulation(curve=every_other)
    run("b", mixed, trials=12, rungs=(1,))
    assert [record.outcome for record in records("b")].count("failed") == 6 > FAILURES


def test_a_lost_worker_costs_the_trial_but_not_what_it_trained_before(run: Run, records: Records) -> None:
    class Dying(Simulation):
        def __call__(self, task: RungTask, checkpoint: bytes | None) -> RungResult:
            result = super().__call__(task, checkpoint)
            if len(self.tasks) == SEARCH.startup + 1:
                raise MemoryError("4 workers died")
            return result

    run("a", Dying(), peers=99)
    (failed,) = (record for record in records("a") if record.outcome == "failed")
    assert (failed.epochs, failed.seconds, failed.reason) == (1, SECONDS, "MemoryError: 4 workers died")


def test_an_exhausted_space_ends_the_search(run: Run, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "EXHAUSTED", 12)
    smallest = Space(families=("mlp",), smallest=249, largest=250)
    printed = run("a", Simulation(), space=smallest, budget=Budget(parameters=251), trials=100, startup=2)
    assert "the last 12 suggestions were all over budget or known: the space is exhausted" in printed
    assert 1 <= sum(record.trained for record in records("a")) < 20


def test_when_the_hours_are_over_nothing_is_begun_and_another_run_goes_on(run: Run, records: Records) -> None:
    simulation, runs, done = Simulation(), 0, False
    while not done:
        printed = run("a", simulation, 2, hours=80 / 3600, peers=99)
        runs += 1
        # a rung in flight is finished, none is begun after the hours, and at most half of them are for retraining
        assert 40 <= seconds(printed) <= 80 + 6 * SECONDS
        unfinished = sum(record.outcome == "unfinished" for record in records("a"))
        done = len(records("a")) == SEARCH.trials and unfinished == 0
        assert done or f"the hours are over, {unfinished} candidate" in printed
    assert runs >= SEARCH.trials * 9 * SECONDS / 2 / 140
    assert "the hours are over" not in printed
    assert [record.outcome for record in records("a")] == ["complete"] * SEARCH.trials
    assert len({task[:3] for task in simulation.tasks}) == len(simulation.tasks)  # nothing was trained twice


def test_a_lost_checkpoint_is_made_again_and_counts_once(run: Run, records: Records, tmp_path: Path) -> None:
    calm, first, second = Simulation(), Simulation(killed=10), Simulation()
    run("calm", calm, peers=99)
    run("lost", first, peers=99)
    for path in (tmp_path / "lost" / "checkpoints").glob("*-3.safetensors"):
        path.unlink()
    run("lost", second, peers=99)
    assert records("lost") == records("calm")
    assert [record.outcome for record in records("lost")] == ["complete"] * SEARCH.trials
    made_again = {task[:3] for task in first.tasks} & {task[:3] for task in second.tasks}
    assert {stop - start for _, start, stop in made_again} == {2.0}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_time_left_and_the_speed_are_those_of_the_simulation(run: Run, records: Records, workers: int) -> None:
    assert "0.00 epochs/s  ·  time left unknown" in run("new", Simulation(killed=0), workers)
    printed = run("a", Simulation(killed=14), workers, peers=99)
    found = records("a")
    assert f"{0.1 * workers:.2f} epochs/s" in printed.splitlines()[-1]
    left = SEARCH.trials * 9 - sum(record.epochs for record in found)
    points = len(front(found, 0))
    lacking = max(1.0, Retrain().points / points)  # those that the front has not yet are taken to be retrained too
    total = SECONDS * (left / workers + 40 * math.ceil(3 * points / workers) * lacking)  # three seeds, 40 epochs each
    hours, minutes, seconds = map(int, re.findall(r"about (\d+):(\d+):(\d+) left", printed.splitlines()[-1])[0])
    # that some may be pruned, which are not, is not known yet
    assert timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds() == pytest.approx(total, rel=0.05)


@dataclass(kw_only=True)
class Uneven(Simulation):
    """Every student answers nearly always the largest class; the curve is their balanced accuracy."""

    def __call__(self, task: RungTask, checkpoint: bytes | None) -> RungResult:
        result = Simulation.__call__(self, task, checkpoint)
        curve = tuple(
            replace(
                point,
                validation_accuracy=0.97 - point.validation_accuracy / 100,
                balanced_accuracy=point.validation_accuracy,
            )
            for point in result.curve
        )
        return replace(result, curve=curve)


def test_the_metric_that_is_asked_for_is_what_is_searched(run: Run, tmp_path: Path, small_data: DataSet) -> None:
    printed = run("mine", Uneven(), metric="balanced_accuracy", trials=12)
    assert "balanced accuracy" in printed
    with opened(RunDirectory(root=tmp_path, name="mine"), small_data) as store:
        records = [record for record in trial_records(store) if record.outcome == "complete"]
        assert store.study.metric_names == ["validation balanced accuracy", "parameters"]
        for record in records:
            assert record.merit == record.curve[-1].balanced_accuracy != record.accuracy
            assert store.study.trials[record.number].values[0] == record.merit
        best = max(records, key=lambda record: record.merit or 0)
        assert front(records, 0)[-1].number == best.number
        assert best.accuracy == min(record.accuracy or 1 for record in records)


@pytest.mark.parametrize("sampler", ["predictor", "evolution", "tpe", "nsga2", "random"])
def test_two_costs_make_a_front_of_three_objectives(run: Run, records: Records, tmp_path: Path, sampler: str) -> None:
    asked = {"objectives": ("macs", "int8_bytes"), "sampler": sampler, "trials": 14, "pruner": "extrapolation"}
    run("two", Simulation(), **asked)
    found = records("two")
    best = front(found, 0.0)
    complete = [record for record in found if record.outcome == "complete"]
    expected = [
        record
        for record in complete
        if not any(
            other is not record
            and (other.merit or 0) >= (record.merit or 0)
            and other.cost.macs <= record.cost.macs
            and other.cost.int8_bytes <= record.cost.int8_bytes
            for other in complete
        )
    ]
    assert {record.number for record in best} == {record.number for record in expected}
    assert [record.cost.macs for record in best] == sorted(record.cost.macs for record in best)
    by_optuna = optuna.load_study(study_name="two", storage=f"sqlite:///{tmp_path}/two/study.db")
    assert by_optuna.metric_names == ["validation accuracy", "macs", "int8 bytes"]
    values = {trial.number: trial.values for trial in by_optuna.get_trials() if trial.values}
    assert values == {r.number: [r.merit, r.cost.macs, r.cost.int8_bytes] for r in complete}
    summary = summarise(RunDirectory(root=tmp_path, name="two"))
    assert isinstance(summary, StudySummary)
    assert summary.front == len(best)
