"""What a student minimises: soft targets from the teacher's logits, and hard labels.

Symbols: z and v are the student's and the teacher's logits, T the temperature, p = softmax(v/T), q = softmax(z/T); K is
the number of classes. Every soft loss is a mean over the batch.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from kd.optim.recipe import Loss, Recipe

EPSILON = 1e-8


def total(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, " batch"],
    recipe: Recipe,
) -> Float[Tensor, ""]:
    """(1 − w)·soft + w·CE(z, labels), as the recipe says.

    Args:
        student: logits z.
        teacher: logits v for the same pixels.
        labels: class of every sample.
        recipe: names the soft loss and gives T (`temperature`), w (`hard_weight`), `label_smoothing` (Szegedy et al.
            2016, of the hard part alone) and `standardise`: both logits are brought to zero mean and unit deviation
            over the classes first, z ← (z − mean z)/std z (Sun et al. 2024); T is then the only scale.

    Returns:
        The loss. With loss "hard", w is 1.
    """
    if recipe.loss == "hard":
        return functional.cross_entropy(student, labels, label_smoothing=recipe.label_smoothing)
    if recipe.standardise:
        loss = SOFT[recipe.loss](standardised(student), standardised(teacher), labels, recipe)
    else:
        loss = SOFT[recipe.loss](student, teacher, labels, recipe)
    loss = (1 - recipe.hard_weight) * loss
    if recipe.hard_weight > 0:
        hard = functional.cross_entropy(student, labels, label_smoothing=recipe.label_smoothing)
        loss = loss + recipe.hard_weight * hard
    return loss


def divergence(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, " batch"],
    recipe: Recipe,
) -> Float[Tensor, ""]:
    """T²·KL(p ‖ q) (Hinton et al. 2015, section 2)."""
    return recipe.temperature**2 * _kl(_log_softmax(teacher, recipe), _log_softmax(student, recipe))


def squared_error(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, " batch"],
    recipe: Recipe,
) -> Float[Tensor, ""]:
    """Σ(z − mean z − v + mean v)²/2K: MSE on centred logits (Kim et al. 2021), the limit of T²·KL as T grows."""
    gap = student - teacher
    return (gap - gap.mean(1, keepdim=True)).square().mean() / 2


def decoupled(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, " batch"],
    recipe: Recipe,
) -> Float[Tensor, ""]:
    """T²·(α·KL(b(p) ‖ b(q)) + β·KL(p̂ ‖ q̂)) (Zhao et al. 2022, eq. 7): DKD.

    b is the probability of the label and of all other classes together, p̂ and q̂ the distributions over the others.
    """
    label = labels[:, None]
    index = torch.arange(student.shape[1] - 1, device=labels.device)
    rest = index + (index >= label)  # classes but the label; a mask would have a GPU wait for how many it leaves

    def parts(
        logits: Float[Tensor, "batch classes"],
    ) -> tuple[Float[Tensor, "batch 2"], Float[Tensor, "batch classes-1"]]:
        scaled = logits / recipe.temperature
        others = scaled.gather(1, rest)
        both = torch.stack([scaled.gather(1, label).squeeze(1), others.logsumexp(1)], dim=1)
        return both.log_softmax(1), others.log_softmax(1)

    (label_p, others_p), (label_q, others_q) = parts(teacher), parts(student)
    loss = recipe.dkd_alpha * _kl(label_p, label_q) + recipe.dkd_beta * _kl(others_p, others_q)
    return recipe.temperature**2 * loss


def correlation(
    student: Float[Tensor, "batch classes"],
    teacher: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, " batch"],
    recipe: Recipe,
) -> Float[Tensor, ""]:
    """T²·(inter + intra) (Huang et al. 2022): DIST.

    Both are 1 − Pearson's r between q and p: inter over the classes of a sample, intra over the batch for a class.
    """
    p, q = _log_softmax(teacher, recipe).exp(), _log_softmax(student, recipe).exp()
    return recipe.temperature**2 * ((1 - _pearson(q, p)).mean() + (1 - _pearson(q.T, p.T)).mean())


SOFT: dict[Loss, Callable[[Tensor, Tensor, Tensor, Recipe], Tensor]] = {
    "kl": divergence,
    "mse": squared_error,
    "dkd": decoupled,
    "dist": correlation,
}


def standardised(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
    """Zero mean and unit deviation over the classes of every sample."""
    centred = logits - logits.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + EPSILON**2).sqrt()


def _log_softmax(logits: Float[Tensor, "batch classes"], recipe: Recipe) -> Float[Tensor, "batch classes"]:
    return functional.log_softmax(logits / recipe.temperature, dim=1)


def _kl(log_p: Float[Tensor, "batch classes"], log_q: Float[Tensor, "batch classes"]) -> Float[Tensor, ""]:
    return functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def _pearson(a: Float[Tensor, "rows columns"], b: Float[Tensor, "rows columns"]) -> Float[Tensor, " rows"]:
    """Pearson's r of every pair of rows; a constant row correlates with nothing."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return functional.cosine_similarity(a, b, dim=1, eps=EPSILON)
