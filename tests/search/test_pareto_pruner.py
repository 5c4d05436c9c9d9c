from hypothesis import given
from hypothesis import strategies as st

from search.pareto_pruner import Standing, is_weak

standings = st.lists(
    st.builds(
        Standing,
        accuracy=st.sampled_from([0.1, 0.5, 0.9]) | st.floats(0, 1),
        loss=st.floats(0, 3),
        parameters=st.integers(1, 10_000),
    ),
    min_size=1,
    max_size=30,
)


def test_weak_needs_enough_peers_that_are_no_larger() -> None:
    mine = Standing(accuracy=0.9, loss=0.3, parameters=1_000)
    better = Standing(accuracy=0.95, loss=0.4, parameters=1_000)
    large = Standing(accuracy=0.99, loss=0.1, parameters=1_101)
    assert not is_weak(mine, [better, large, large], peers=2, slack=1.1)
    assert is_weak(mine, [better, better, large], peers=2, slack=1.1)
    assert is_weak(mine, [better, Standing(accuracy=0.9, loss=0.3, parameters=1_100)], peers=2, slack=1.1)


def test_the_loss_decides_between_equal_accuracies() -> None:
    mine = Standing(accuracy=0.9, loss=0.3, parameters=1_000)
    assert is_weak(mine, [Standing(accuracy=0.9, loss=0.2, parameters=1_000)], peers=1, slack=1.0)
    assert not is_weak(mine, [Standing(accuracy=0.9, loss=0.4, parameters=1_000)], peers=1, slack=1.0)


@given(standings, st.integers(1, 5))
def test_the_front_is_never_pruned(candidates: list[Standing], peers: int) -> None:
    for candidate in candidates:
        others = [c for c in candidates if c is not candidate]
        rivals = [o for o in others if o.parameters <= candidate.parameters and o.accuracy >= candidate.accuracy]
        if all(o.accuracy == candidate.accuracy and o.loss > candidate.loss for o in rivals):
            assert not is_weak(candidate, others, peers, slack=1.0)
