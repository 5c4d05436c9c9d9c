from hypothesis import given
from hypothesis import strategies as st

from search.pruning import Standing, is_weak

standings = st.lists(
    st.builds(Standing, accuracy=st.floats(0, 1), parameters=st.integers(1, 10_000)), min_size=1, max_size=30
)


def test_weak_needs_enough_peers_that_are_no_larger() -> None:
    mine = Standing(accuracy=0.9, parameters=1_000)
    better = Standing(accuracy=0.95, parameters=1_000)
    large = Standing(accuracy=0.99, parameters=1_101)
    assert not is_weak(mine, [better, large, large], peers=2, slack=1.1)
    assert is_weak(mine, [better, better, large], peers=2, slack=1.1)
    assert is_weak(mine, [better, Standing(accuracy=0.9, parameters=1_100)], peers=2, slack=1.1)


@given(standings, st.integers(1, 5))
def test_the_front_is_never_pruned(candidates: list[Standing], peers: int) -> None:
    for candidate in candidates:
        others = [c for c in candidates if c is not candidate]
        dominated = any(o.parameters <= candidate.parameters and o.accuracy >= candidate.accuracy for o in others)
        if not dominated:
            assert not is_weak(candidate, others, peers, slack=1.0)
