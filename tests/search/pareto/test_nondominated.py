from collections.abc import Sequence
from operator import le

from hypothesis import given
from hypothesis import strategies as st

from search.pareto.nondominated import fronts

values = st.floats(0, 4, allow_subnormal=False).map(lambda value: round(value, 1))
points_of_any_number_of_values = st.integers(2, 4).flatmap(
    lambda count: st.lists(st.tuples(*[values] * count), unique=True, max_size=40)
)


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return a != b and all(map(le, a, b))


@given(points_of_any_number_of_values)
def test_a_front_is_dominated_by_the_one_before_it_and_never_by_itself(points: list[tuple[float, ...]]) -> None:
    numbers = fronts(points).tolist()
    for point, number in zip(points, numbers, strict=True):
        above = [other for other, front in zip(points, numbers, strict=True) if front == number - 1]
        same = [other for other, front in zip(points, numbers, strict=True) if front == number]
        assert number == 0 or any(dominates(other, point) for other in above)
        assert not any(dominates(other, point) for other in same)


def test_of_equal_points_the_later_is_behind() -> None:
    assert fronts([(1.0, 1.0), (1.0, 1.0), (2.0, 0.0)]).tolist() == [0, 1, 0]
    assert fronts([(1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (2.0, 0.0, 1.0)]).tolist() == [0, 1, 0]
