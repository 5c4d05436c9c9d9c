import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from optuna.trial import Trial, TrialState
from torch import Tensor

from kd.deploy.calibration import calibrate
from kd.deploy.int8_file import Int8Scores, save_int8
from kd.deploy.lower import lower
from kd.deploy.places import int8_path
from kd.students.curve import Epoch
from kd.students.embedding import Embedding, embedded_places
from kd.students.file import TrainedStudent
from kd.students.reading import Answers, Reading
from kd.students.scores import Scores
from kd.teachers.log import TeacherLog
from kd.teachers.source import TeacherSource
from reports.facts.report_data import ReportData, gather
from space.architecture import FAMILIES, Architecture
from space.budget import Budget
from space.network import build
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial
from studies.configuration.config import Config, Search
from studies.front import front
from studies.records import Outcome, TrialRecord, student_records, trial_records
from studies.storage.directory import RunDirectory, reading_file
from studies.storage.ledger import Rung
from studies.store import Store, create, opened

RUNGS = (1, 3, 9)


def random_architecture(seed: int, family: int) -> Architecture:
    trial = RandomTrial(random.Random(seed), {"family": FAMILIES[family % len(FAMILIES)]})
    return suggest(trial, Domain(largest=9_000), (1, 28, 28), 10)


def learning(seed: int, parameters: int, epochs: int) -> tuple[Epoch, ...]:
    """A learning curve whose error falls with epochs and parameters."""
    generator = random.Random(seed)
    floor = 0.004 + 0.2 / math.sqrt(parameters) * generator.uniform(0.2, 0.8)
    return tuple(
        Epoch(
            epoch=epoch,
            train_loss=2 / epoch,
            validation_accuracy=round(1 - floor * (1 + 3 / epoch), 4),
            validation_loss=1 / epoch,
            seconds=2.0,
        )
        for epoch in range(1, epochs + 1)
    )


def add_trial(store: Store, architecture: Architecture, outcome: Outcome, epochs: int = 0, reason: str = "") -> None:
    """Put one trial on record the way the driver does."""
    trial = store.study.ask()
    trial.set_user_attr("architecture", architecture.to_json())
    trial.set_user_attr("outcome", outcome)
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("epochs", epochs)
    parameters = architecture.cost().parameters
    curve = learning(trial.number, parameters, epochs)
    done = 0
    for rung in RUNGS:
        if rung <= epochs:
            part = Rung(epochs=rung, curve=curve[done:rung], seconds=2.0 * (rung - done))
            store.ledger.record_rung(store.training(architecture.digest), part)
            done = rung
    if outcome == "complete":
        store.study.tell(trial, [curve[-1].validation_accuracy, parameters])
    elif outcome == "failed":
        store.study.tell(trial, state=TrialState.FAIL)
    elif outcome != "unfinished":
        store.study.tell(trial, state=TrialState.PRUNED)


def retrain(store: Store, architecture: Architecture, tests: tuple[float, ...]) -> None:
    """Put a retrained student on record, one seed for each test accuracy."""
    folder = store.directory.student(architecture.digest)
    folder.mkdir(parents=True)
    (folder / "architecture.json").write_text(architecture.to_json())
    for seed, test in enumerate(tests):
        curve = learning(seed + 7, 4 * architecture.cost().parameters, 40)
        training = store.training(architecture.digest, seed)
        store.ledger.record_rung(training, Rung(epochs=40, curve=curve, seconds=80.0))
        store.ledger.record_test(training, test)
        (folder / f"seed-{seed}.safetensors").touch()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    """A study in which nothing has happened yet."""
    teacher = tmp_path / "tutor.safetensors"
    teacher.write_bytes(b"a teacher")
    directory = RunDirectory(root=tmp_path / "runs", name="tiny")
    directory.path.mkdir(parents=True)
    create(directory, Config(teacher=TeacherSource(models=(str(teacher),)), search=Search(trials=7, rungs=RUNGS)))
    with opened(directory) as store:
        log = TeacherLog(validation_accuracy=0.9971, test_accuracy=0.9968, parameters=288_554, data=store.data.digest)
        log.write(teacher)
        yield store


@pytest.fixture
def started(empty: Store) -> Store:
    """A study with two trials that run, one of them still before its first rung."""
    add_trial(empty, random_architecture(0, 0), "unfinished")
    add_trial(empty, random_architecture(1, 1), "unfinished", 1)
    return empty


@pytest.fixture
def searched(empty: Store) -> Store:
    """A study after its search: every outcome there is."""
    for number in range(4):
        add_trial(empty, random_architecture(number, number), "complete", 9)
    add_trial(empty, random_architecture(4, 4), "pruned", 1, "3 peers do at least as well")
    add_trial(empty, random_architecture(5, 0), "pruned", 3, "3 peers do at least as well")
    add_trial(empty, random_architecture(0, 0), "duplicate", reason="the same network as trial 0")
    big = suggest(
        RandomTrial(random.Random(3), {"family": "cnn", "size": 12_000.0}),
        Domain(budget=Budget(parameters=None)),
        (1, 28, 28),
        10,
    )
    add_trial(empty, big, "rejected", reason=f"parameters {big.cost().parameters:,} ≥ 10,000")
    add_trial(empty, random_architecture(8, 3), "failed", 1, "loss is nan in epoch 2")
    add_trial(empty, random_architecture(9, 2), "unfinished", 1)
    return empty


@pytest.fixture
def retrained(searched: Store) -> Store:
    """A study with the ends of its front retrained: three seeds of the largest, one of the smallest."""
    points = front(trial_records(searched), 0)
    retrain(searched, points[-1].architecture, (0.9941, 0.9935, 0.9938))
    retrain(searched, points[0].architecture, (0.9754,))
    return searched


def answered(labels: Tensor, accuracy: float, seed: int) -> Answers:
    """Answers of which a share is right, the others the class behind, surer than they should be."""
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(labels), generator=generator) > accuracy
    logits = torch.randn(len(labels), 10, generator=generator)
    logits[torch.arange(len(labels)), (labels + wrong.long()) % 10] += 6 + 2 * torch.rand(
        len(labels), generator=generator
    )
    return Answers.of(logits, labels)


def embedded(store: Store, seed: int) -> Embedding:
    """Places around a circle, a class beside the other."""
    generator, places = torch.Generator().manual_seed(seed), embedded_places(store.data)
    angles = store.data.validation.labels[places] * (2 * math.pi / 10)
    centres = torch.stack([angles.cos(), angles.sin()], 1)
    return Embedding(places=places, positions=centres + 0.1 * torch.randn(len(places), 2, generator=generator))


@pytest.fixture
def told(retrained: Store) -> Store:
    """The same, with what its students and their teacher answer sample by sample, and their features."""
    test, validation = retrained.data.test.labels, retrained.data.validation.labels
    directory = retrained.directory
    for student in student_records(retrained):
        digest = student.architecture.digest
        for seed in student.seeds:
            parts = {"test": answered(test, seed.test, seed.seed), "validation": answered(validation, seed.test, 99)}
            Reading(**parts).save(reading_file(directory.student(digest) / f"seed-{seed.seed}.safetensors"))
        embedded(retrained, 1).save(directory.student_features(digest, student.exported.seed))
    Reading(test=answered(test, 0.9968, 7), validation=answered(validation, 0.9971, 8)).save(directory.teacher_reading)
    embedded(retrained, 2).save(directory.teacher_features)
    return retrained


@pytest.fixture
def twinned(told: Store) -> Store:
    """The same, its students quantised: the largest loses 0.3 points, the smallest nothing."""
    directory = told.directory
    for student in student_records(told):
        architecture = student.architecture
        with torch.random.fork_rng():
            module = build(architecture).eval()
        made = TrainedStudent(
            module=module,
            architecture=architecture,
            mean=(0.1,),
            std=(0.3,),
            data="",
            parameters=student.cost.parameters,
        )
        program = lower(made)
        calibration = calibrate(program, told.data.train.images[:8])
        for seed in student.seeds:
            test = round(seed.test - (0.003 if len(student.seeds) > 1 else 0), 4)
            scores = Scores(accuracy=test, balanced_accuracy=test, macro_f1=test, recalls=(test,) * 10)
            path = int8_path(directory.student(architecture.digest) / f"seed-{seed.seed}.safetensors")
            int8 = Int8Scores(test=scores, validation=seed.validation or 0, tuned=0)
            save_int8(path, program, calibration, architecture, int8)
    return told


@pytest.fixture
def lone(searched: Store) -> Store:
    """A study with one retrained student."""
    retrain(searched, front(trial_records(searched), 0)[0].architecture, (0.9712, 0.9714))
    return searched


@pytest.fixture
def finished(searched: Store) -> Store:
    """A study in which everything asked for is done: eight trials concluded, the whole front retrained."""
    for trial in searched.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        Trial(searched.study, trial._trial_id).set_user_attr("outcome", "pruned")
        searched.study.tell(trial.number, state=TrialState.PRUNED)
    for point in front(trial_records(searched), 0):
        retrain(searched, point.architecture, (0.991, 0.992, 0.993))
    return searched


@pytest.fixture
def perfect(searched: Store) -> Store:
    """A study with a retrained student that makes no error on the test set."""
    retrain(searched, front(trial_records(searched), 0)[0].architecture, (1.0, 1.0))
    return searched


@pytest.fixture
def stray(empty: Store) -> Store:
    """A study with a retrained student that none of its trials found."""
    retrain(empty, random_architecture(2, 1), (0.98,))
    return empty


@pytest.fixture
def thousand(told: Store) -> ReportData:
    """A report on a thousand made-up trials, each trained to the rung that chance says."""
    report, trials = gather(told), []
    for number in range(1_000):
        generator = random.Random(number)
        architecture = suggest(RandomTrial(generator, {}), Domain(), (1, 28, 28), 10)
        reached = generator.choices(RUNGS, weights=(6, 2, 2))[0]
        curve = learning(number, architecture.cost().parameters, reached)
        rungs, done = [], 0
        for rung in (rung for rung in RUNGS if rung <= reached):
            ended = 1e9 + number // 4 * 20.0 + 2.0 * rung
            rungs.append(Rung(epochs=rung, curve=curve[done:rung], seconds=2.0 * (rung - done), ended=ended))
            done = rung
        blank = TrialRecord(
            number=number,
            outcome="complete" if reached == RUNGS[-1] else "pruned",
            reason="",
            architecture=architecture,
            cost=architecture.cost(),
            epochs=0,
            accuracy=None,
            loss=None,
            seconds=0,
            curve=(),
            params={"family": architecture.family, "size": float(architecture.cost().parameters)},
        )
        trials.append(blank.after(rungs, reached))
    return replace(report, trials=tuple(trials), front=tuple(front(trials, report.config.search.floor)))
