"""The engine on real clusters of Dask."""

import math
import operator
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from distributed import LocalCluster
from hypothesis import given
from hypothesis import strategies as st

from search.engine.dask import DaskEngine, slots_of
from search.engine.engine import Engine
from search.engine.fake import FakeEngine
from space.errors import InputError


def cluster(threads: int, resources: dict[str, float] | None = None) -> LocalCluster:
    return LocalCluster(
        n_workers=1,
        threads_per_worker=threads,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        resources=resources,
    )


@pytest.fixture
def gpu_cluster() -> Iterator[LocalCluster]:
    """One worker of eight threads with two GPUs."""
    with cluster(8, {"GPU": 2, "memory": 100}) as found:
        yield found


def results(engine: Engine) -> list[tuple[Any, Any]]:
    found = []
    while engine.tickets:
        found += engine.finished(1.0)
    return found


def fail() -> None:
    raise ValueError("of the task's own")


def test_slots_are_what_resources_allow(gpu_cluster: LocalCluster) -> None:
    for needed, slots in ((None, 8), ({"GPU": 1.0}, 2), ({"GPU": 1.0, "memory": 60.0}, 1), ({"memory": 10.0}, 8)):
        with DaskEngine(gpu_cluster.scheduler_address, resources=needed) as engine:
            assert engine.slots == engine.free == slots
    with DaskEngine(gpu_cluster.scheduler_address, resources={"GPU": 1}) as engine:
        for number in range(2):
            engine.submit(number, operator.add, number, 1)
        assert sorted(results(engine)) == [(0, 1), (1, 2)]
    with pytest.raises(InputError, match=r"no worker at .* offers GPU=3"):
        DaskEngine(gpu_cluster.scheduler_address, resources={"GPU": 3})


@given(st.integers(1, 64), st.integers(0, 20), st.integers(1, 8))
def test_a_task_needs_a_thread_and_its_resources(threads: int, offered: int, tenths: int) -> None:
    found = slots_of(threads, {"GPU": offered / 10}, {"GPU": tenths / 10})
    assert found == min(threads, offered // tenths)
    assert slots_of(threads, {}, {"GPU": 1.0}) == 0
    assert slots_of(threads, {}, {}) == threads


@pytest.mark.parametrize("act", [lambda engine: engine.finished(9.0), lambda engine: engine.free], ids=["wait", "ask"])
def test_a_lost_scheduler_is_one_line(act: Callable[[DaskEngine], object]) -> None:
    found = cluster(1)
    address = found.scheduler_address
    with DaskEngine(address) as engine:
        engine.submit("a", time.sleep, 1)
        assert engine.finished(0.1) == []
        found.close()
        with pytest.raises(InputError, match=f"^the Dask scheduler at {address} is gone: nothing is lost") as error:
            act(engine)
        with pytest.raises(InputError, match="is gone"):
            engine.submit("b", math.sqrt, 4.0)
    assert "\n" not in str(error.value)


def test_errors_of_tasks_are_results() -> None:
    with DaskEngine(workers=1) as engine:
        assert engine.slots == 1
        engine.submit("a", fail)
        ((ticket, result),) = results(engine)
    assert ticket == "a"
    assert isinstance(result, ValueError)


def test_a_simulation_behaves_as_dask_does() -> None:
    with DaskEngine(workers=1) as real:
        for engine in (real, FakeEngine(lambda number: math.sqrt(number))):
            assert engine.finished(0.0) == []
            engine.submit("a", math.sqrt, 4.0)
            assert (engine.slots, engine.free, engine.tickets) == (1, 0, ["a"])
            assert results(engine) == [("a", 2.0)]
            assert (engine.free, engine.tickets) == (1, [])
