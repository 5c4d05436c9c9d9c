import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from kd.losses.logits import standardised, total
from kd.optim.recipe import Loss, Recipe

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
    loss = total(student, teacher, torch.tensor([1]), Recipe(temperature=2.0, hard_weight=0.3))
    assert float(loss) == pytest.approx(expected, rel=1e-6)


@given(batches)
def test_hard_labels_alone_are_cross_entropy(batch: Batch) -> None:
    student, teacher, labels = batch
    expected = functional.cross_entropy(student, labels)
    torch.testing.assert_close(total(student, teacher, labels, Recipe(loss="hard")), expected)
    recipe = Recipe(temperature=1.0, hard_weight=1.0)
    torch.testing.assert_close(total(student, teacher, labels, recipe), expected)


@given(batches)
def test_a_certain_teacher_at_temperature_1_is_cross_entropy(batch: Batch) -> None:
    student, _, labels = batch
    teacher = functional.one_hot(labels, 5) * 200.0
    loss = total(student, teacher, labels, Recipe(temperature=1.0, hard_weight=0.0))
    torch.testing.assert_close(loss, functional.cross_entropy(student, labels), rtol=1e-4, atol=1e-5)


@given(batches, st.floats(0.5, 20))
def test_a_student_that_answers_like_its_teacher_loses_nothing(batch: Batch, temperature: float) -> None:
    _, teacher, labels = batch
    recipe = Recipe(temperature=temperature, hard_weight=0.0)
    assert abs(float(total(teacher, teacher, labels, recipe))) < 1e-5 * temperature**2
    # softmax does not see what is added to all logits
    assert abs(float(total(teacher + 3, teacher, labels, recipe))) < 1e-5 * temperature**2


@given(batches, st.floats(0.5, 20), st.floats(0, 1))
def test_the_loss_is_the_mean_over_the_batch(batch: Batch, temperature: float, weight: float) -> None:
    recipe = Recipe(temperature=temperature, hard_weight=weight)
    single = zip(*(part.split(1) for part in batch), strict=True)
    parts = [total(student, teacher, label, recipe) for student, teacher, label in single]
    torch.testing.assert_close(total(*batch, recipe), torch.stack(parts).mean(), rtol=1e-4, atol=1e-4)


@given(batches)
def test_gradients_at_high_temperature_match_logits(batch: Batch) -> None:
    # Hinton et al. 2015, eq. 4: (z − v)/N for zero-mean logits, here a mean over the batch
    student, teacher, labels = batch
    student = (student - student.mean(1, keepdim=True)).double().requires_grad_()
    teacher = (teacher - teacher.mean(1, keepdim=True)).double()
    total(student, teacher, labels, Recipe(temperature=1e4, hard_weight=0.0)).backward()
    assert student.grad is not None
    expected = (student.detach() - teacher) / 5 / len(labels)
    torch.testing.assert_close(student.grad, expected, rtol=1e-2, atol=1e-3)


def test_centred_squared_error_by_hand() -> None:
    # centred: (1, -1, 0) and (0, -3, 3); differences 1, 2, -3, squared 14, over 2K = 6
    student, teacher = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[0.0, -3.0, 3.0]]) + 7
    loss = total(student, teacher, torch.tensor([0]), Recipe(loss="mse", hard_weight=0.0))
    assert float(loss) == pytest.approx(14 / 6)


@given(batches)
def test_divergence_at_high_temperature_is_centred_squared_error(batch: Batch) -> None:
    student, teacher, labels = batch[0].double(), batch[1].double(), batch[2]
    hot = total(student, teacher, labels, Recipe(temperature=1e4, hard_weight=0.0))
    error = total(student, teacher, labels, Recipe(loss="mse", hard_weight=0.0))
    torch.testing.assert_close(hot, error, rtol=1e-2, atol=1e-4)


def test_decoupled_by_hand() -> None:
    # teacher (1/2, 3/8, 1/8), student (1/4, 1/4, 1/2), label 0
    teacher, student = torch.tensor([[0.5, 0.375, 0.125]]).log(), torch.tensor([[0.25, 0.25, 0.5]]).log()
    label = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    others = 0.75 * math.log(0.75 / (1 / 3)) + 0.25 * math.log(0.25 / (2 / 3))
    recipe = Recipe(loss="dkd", temperature=1.0, hard_weight=0.0, dkd_alpha=2.0, dkd_beta=3.0)
    assert float(total(student, teacher, torch.tensor([0]), recipe)) == pytest.approx(2 * label + 3 * others, rel=1e-5)


@given(batches, st.floats(0.5, 8))
def test_decoupled_parts_add_up_to_the_divergence(batch: Batch, temperature: float) -> None:
    # Zhao et al. 2022: KL = KL(b) + (1 - p_label)*KL(others), so beta = 1 - p_label of a single sample gives KL
    student, teacher, labels = (part[:1] for part in batch)
    others = 1 - float((teacher / temperature).softmax(1)[0, labels[0]])
    decoupled = Recipe(loss="dkd", temperature=temperature, hard_weight=0.0, dkd_beta=others)
    plain = Recipe(temperature=temperature, hard_weight=0.0)
    expected = total(student, teacher, labels, plain)
    torch.testing.assert_close(total(student, teacher, labels, decoupled), expected, rtol=1e-3, atol=1e-3)


def test_correlation_by_hand() -> None:
    # rows are opposite: inter is 1 - (-1); columns too: intra is 2
    teacher, student = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).log(), torch.tensor([[0.1, 0.9], [0.8, 0.2]]).log()
    recipe = Recipe(loss="dist", temperature=1.0, hard_weight=0.0)
    assert float(total(student, teacher, torch.tensor([0, 1]), recipe)) == pytest.approx(4, rel=1e-5)


@given(batches)
def test_correlation_does_not_see_what_is_affine(batch: Batch) -> None:
    _, teacher, labels = batch
    p = (teacher / 2).softmax(1)
    # probabilities pulled towards uniform are an affine map of every row and column
    student = 2 * (0.5 * p + 0.1).log()
    loss = total(student, teacher, labels, Recipe(loss="dist", temperature=2.0, hard_weight=0.0))
    constant = 1 if len(labels) == 1 else 0  # a single sample's columns are constant and correlate with nothing
    assert float(loss) == pytest.approx(4 * constant, abs=0.05)


def test_standardised_by_hand() -> None:
    root = math.sqrt(1.5)
    torch.testing.assert_close(standardised(torch.tensor([[1.0, 2.0, 3.0]])), torch.tensor([[-root, 0.0, root]]))


def test_standardising_equal_logits_has_a_gradient() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    standardised(logits)[0, 0].backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@given(batches, st.sampled_from(("kl", "mse", "dkd", "dist")))
def test_standardising_makes_scale_and_shift_free(batch: Batch, loss: Loss) -> None:
    student, teacher, labels = batch
    recipe = Recipe(loss=loss, standardise=True, hard_weight=0.0)
    expected = total(student, teacher, labels, recipe)
    torch.testing.assert_close(total(3 * student + 1, teacher, labels, recipe), expected, rtol=1e-3, atol=1e-4)


@given(batches)
def test_label_smoothing_is_of_the_hard_part(batch: Batch) -> None:
    student, teacher, labels = batch
    expected = functional.cross_entropy(student, labels, label_smoothing=0.1)
    torch.testing.assert_close(total(student, teacher, labels, Recipe(loss="hard", label_smoothing=0.1)), expected)
    soft = total(student, teacher, labels, Recipe(hard_weight=0.0))
    mixed = total(student, teacher, labels, Recipe(hard_weight=0.3, label_smoothing=0.1))
    torch.testing.assert_close(mixed, 0.7 * soft + 0.3 * expected)
