from dataclasses import dataclass

from search.engine.fake import FakeEngine


@dataclass(frozen=True)
class Result:
    name: str
    seconds: float


def function() -> None:
    raise AssertionError("an engine that trains nothing was asked for a curve and ran the task")


def test_time_passes_as_tasks_end() -> None:
    engine = FakeEngine(Result, workers=2)
    assert (engine.slots, engine.free, engine.clock()) == (2, 2, 0)
    engine.submit("long", function, "l", 5.0)
    engine.submit("short", function, "s", 1.5)
    assert (engine.free, engine.tickets) == (0, ["long", "short"])
    assert engine.finished(1.0) == []
    assert engine.clock() == 1
    assert engine.finished(1.0) == [("short", Result("s", 1.5))]
    assert (engine.clock(), engine.free) == (1.5, 1)
    assert engine.finished(100.0) == [("long", Result("l", 5.0))]
    assert engine.clock() == 5
    assert engine.finished(100.0) == []
    assert engine.clock() == 5


def test_tasks_end_in_the_order_of_their_moments_then_of_their_submission() -> None:
    engine = FakeEngine(Result, workers=3)
    for name in ("a", "b", "c"):
        engine.submit(name, function, name, 2.0)
    assert [ticket for ticket, _ in engine.finished(9.0)] == ["a", "b", "c"]


def test_a_task_begins_when_it_is_submitted() -> None:
    engine = FakeEngine(Result)
    engine.submit("a", function, "a", 2.0)
    engine.finished(9.0)
    engine.submit("b", function, "b", 2.0)
    engine.finished(9.0)
    assert engine.clock() == 4


def test_what_a_simulation_raises_is_the_result() -> None:
    def lost() -> None:
        raise MemoryError("4 workers died")

    engine = FakeEngine(lost)
    engine.submit("a", function)
    ((ticket, result),) = engine.finished(1.0)
    assert ticket == "a"
    assert isinstance(result, MemoryError)
    assert engine.clock() == 0


def test_tasks_without_a_free_slot_wait_for_one() -> None:
    engine = FakeEngine(Result, workers=2)
    for name, seconds in (("a", 3.0), ("b", 1.0), ("c", 1.0), ("d", 5.0)):
        engine.submit(name, function, name, seconds)
    assert engine.free == -2
    ends = []
    while engine.tickets:
        ends += [(ticket, engine.clock()) for ticket, _ in engine.finished(9.0)]
    assert ends == [("b", 1), ("c", 2), ("a", 3), ("d", 7)]
