import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kd.students.curve import Epoch
from kd.students.scores import Scores

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(PAIRS)
def test_scores_are_what_their_definitions_say(pairs: list[tuple[int, int]]) -> None:
    labels, answers = zip(*pairs, strict=True)
    scores = Scores.of(torch.tensor(labels), torch.tensor(answers), 5)
    recalls, f1 = [], []
    for c in range(5):
        right = sum(one == (c, c) for one in pairs)
        missed = sum(label == c != answer for label, answer in pairs)
        wrong = sum(answer == c != label for label, answer in pairs)
        recalls.append(right / (right + missed) if right + missed else None)
        if right + missed + wrong:
            f1.append(right / (right + (missed + wrong) / 2))
    known = [recall for recall in recalls if recall is not None]
    assert scores.recalls == pytest.approx(tuple(recalls))
    assert scores.accuracy == pytest.approx(sum(label == answer for label, answer in pairs) / len(pairs))
    assert scores.balanced_accuracy == pytest.approx(sum(known) / len(known))
    assert scores.macro_f1 == pytest.approx(sum(f1) / len(f1))


def test_a_constant_answer_is_seen_for_what_it_is() -> None:
    scores = Scores.of(torch.tensor([0] * 97 + [1] * 3), torch.zeros(100, dtype=torch.int64), 2)
    assert (scores.accuracy, scores.balanced_accuracy, scores.recalls) == (0.97, 0.5, (1.0, 0.0))
    assert scores.value("macro_f1") == pytest.approx(0.97 / 1.97)


def test_a_point_of_a_curve_has_every_score() -> None:
    point = Epoch(
        epoch=1,
        train_loss=1.0,
        validation_accuracy=0.9,
        validation_loss=0.5,
        seconds=1.0,
        balanced_accuracy=0.7,
        macro_f1=0.6,
        recalls=[1.0, None],  # type: ignore[arg-type]
    )
    assert [point.score(metric) for metric in ("accuracy", "balanced_accuracy", "macro_f1")] == [0.9, 0.7, 0.6]
    assert point.recalls == (1.0, None)
