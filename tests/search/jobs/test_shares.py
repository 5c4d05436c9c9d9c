"""Trainings shared between workers: they end together."""

import heapq
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from kd.data.augmentation import NO_AUGMENTATION
from kd.data.dataset import DataSource
from kd.distil.train import RungResult
from kd.distil.views import ViewSource
from kd.optim.recipe import Recipe
from kd.students.curve import Epoch
from kd.teachers.source import TeacherSource
from search.jobs.shares import SEGMENT, Share, Shares
from space.architecture import Architecture
from space.blocks.mlp import Dense
from studies.jobs import TrainingJob
from studies.storage.ledger import Training

EPOCHS = 20
STUDENT = Architecture(family="mlp", shape=(1, 8, 8), classes=3, blocks=(Dense(width=4),))


def job(number: int) -> TrainingJob:
    views = ViewSource(folder=Path(), data=DataSource(), teacher=TeacherSource(), augmentation=NO_AUGMENTATION)
    return TrainingJob(
        name=f"job {number}",
        architecture=STUDENT,
        recipe=Recipe(epochs=EPOCHS),
        views=views,
        training=Training(architecture="", recipe="", views="", seed=number),
        weights=Path(str(number)),
    )


def part(begin: int, end: int, pace: float) -> RungResult:
    curve = tuple(
        Epoch(epoch=e, train_loss=1, validation_accuracy=0, validation_loss=1, seconds=pace)
        for e in range(begin + 1, end + 1)
    )
    return RungResult(curve=curve, checkpoint=b"", seconds=pace * (end - begin))


def ends(paces: Sequence[float], workers: int, known: bool = True) -> tuple[list[float], dict[str, list[int]]]:
    """When the workers end that train jobs of so many seconds an epoch, and the ends of every job's parts."""
    shares = Shares([Share(job=job(i), epochs=EPOCHS, pace=p, measured=known) for i, p in enumerate(paces)])
    true = {f"job {i}": p for i, p in enumerate(paces)}
    order, flying = itertools.count(), list[tuple[float, int, Share, int]]()
    finished, parts, now, idle = [0.0] * workers, {name: [0] for name in true}, 0.0, workers
    while shares.waiting or flying:
        while shares.waiting and idle:
            share, epochs = shares.take(workers)
            begin = parts[share.job.name][-1]
            end = min(EPOCHS, begin + epochs)
            heapq.heappush(flying, (now + (end - begin) * true[share.job.name], next(order), share, end))
            idle -= 1
        now, _, share, end = heapq.heappop(flying)
        idle += 1
        done = parts[share.job.name]
        if end > done[-1]:
            shares.put_back(share, part(done[-1], end, true[share.job.name]))
            done.append(end)
        else:
            shares.finish()
        finished = [*finished[1:], now]
    return finished, parts


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("workers", [2, 3, 4, 15])
@pytest.mark.parametrize("paces", [[6.0] * 15, [6.0] * 16, [9.0, 9, 9, 7, 7, 7, 6, 6, 6, 6.5, 6.5, 6.5, 5.5, 5.5, 5.5]])
def test_all_workers_end_together(paces: list[float], workers: int, known: bool) -> None:
    finished, parts = ends(paces, workers, known)
    least = max(EPOCHS * sum(paces) / workers, EPOCHS * max(paces))  # what no order beats
    assert max(finished) <= least + 3 * max(paces)
    assert all(done[-1] == EPOCHS for done in parts.values())


def test_one_worker_trains_one_after_the_other_the_longest_first() -> None:
    finished, parts = ends([1.0, 3.0, 2.0], 1)
    assert finished == [6 * EPOCHS]
    assert all(done == list(range(0, EPOCHS + 1, SEGMENT)) for done in parts.values())


def test_a_job_is_done_before_the_next_is_begun_while_many_are_left() -> None:
    shares = Shares([Share(job=job(i), epochs=EPOCHS, pace=6.0, measured=True) for i in range(6)])
    first, epochs = shares.take(2)
    assert (first.job.name, epochs) == ("job 0", SEGMENT)
    shares.put_back(first, part(0, SEGMENT, 6.0))
    assert shares.take(2)[0] is first


def test_short_epochs_are_trained_several_at_once() -> None:
    for pace, epochs in ((0.5, SEGMENT), (2.0, 3), (60.0, 1)):
        shares = Shares([Share(job=job(i), epochs=EPOCHS, pace=pace, measured=True) for i in range(3)])
        assert shares.take(2)[1] == epochs
