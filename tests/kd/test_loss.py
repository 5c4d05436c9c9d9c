import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from kd.loss import distillation
from kd.recipe import Recipe

batches = st.builds(
    lambda seed, n: (
        torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)) * 4,
        torch.randn(n, 5, generator=torch.Generator().manual_seed(seed + 1)) * 4,
        torch.randint(0, 5, (n,), generator=torch.Generator().manual_seed(seed + 2)),
    ),
    st.integers(0, 2**31),
    st.integers(1, 9),
)
Batch = tuple[Tensor, Tensor, Tensor]


def test_by_hand() -> None:
    # at T = 2 the softened student is (1/2, 1/2), the softened teacher (3/4, 1/4)
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * math.log(3), 0.0]])
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    expected = 0.7 * 2**2 * divergence + 0.3 * math.log(2)
    loss = distillation(student, teacher, torch.tensor([1]), Recipe(temperature=2.0, hard_weight=0.3))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


@given(batches)
def test_hard_labels_alone_are_cross_entropy(batch: Batch) -> None:
    student, teacher, labels = batch
    expected = functional.cross_entropy(student, labels)
    torch.testing.assert_close(distillation(student, teacher, labels, Recipe(loss="hard")), expected)
    recipe = Recipe(temperature=1.0, hard_weight=1.0)
    torch.testing.assert_close(distillation(student, teacher, labels, recipe), expected)


@given(batches)
def test_a_certain_teacher_at_temperature_1_is_cross_entropy(batch: Batch) -> None:
    student, _, labels = batch
    teacher = functional.one_hot(labels, 5) * 200.0
    loss = distillation(student, teacher, labels, Recipe(temperature=1.0, hard_weight=0.0))
    torch.testing.assert_close(loss, functional.cross_entropy(student, labels), rtol=1e-4, atol=1e-5)


@given(batches, st.floats(0.5, 20))
def test_a_student_that_answers_like_its_teacher_loses_nothing(batch: Batch, temperature: float) -> None:
    _, teacher, labels = batch
    recipe = Recipe(temperature=temperature, hard_weight=0.0)
    assert abs(float(distillation(teacher, teacher, labels, recipe))) < 1e-5 * temperature**2
    # softmax does not see what is added to all logits
    assert abs(float(distillation(teacher + 3, teacher, labels, recipe))) < 1e-5 * temperature**2


@given(batches, st.floats(0.5, 20), st.floats(0, 1))
def test_the_loss_is_the_mean_over_the_batch(batch: Batch, temperature: float, weight: float) -> None:
    recipe = Recipe(temperature=temperature, hard_weight=weight)
    single = zip(*(part.split(1) for part in batch), strict=True)
    parts = [distillation(student, teacher, label, recipe) for student, teacher, label in single]
    torch.testing.assert_close(distillation(*batch, recipe), torch.stack(parts).mean(), rtol=1e-4, atol=1e-4)


@given(batches)
def test_gradients_at_high_temperature_match_logits(batch: Batch) -> None:
    # Hinton et al. 2015, eq. 4: (z − v)/N for zero-mean logits, here a mean over the batch
    student, teacher, labels = batch
    student = (student - student.mean(1, keepdim=True)).double().requires_grad_()
    teacher = (teacher - teacher.mean(1, keepdim=True)).double()
    distillation(student, teacher, labels, Recipe(temperature=1e4, hard_weight=0.0)).backward()
    assert student.grad is not None
    expected = (student.detach() - teacher) / 5 / len(labels)
    torch.testing.assert_close(student.grad, expected, rtol=1e-2, atol=1e-3)
