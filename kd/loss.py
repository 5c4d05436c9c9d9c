"""What a student minimises."""

from torch import Tensor
from torch.nn import functional

from kd.recipe import Recipe


def distillation(student: Tensor, teacher: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """(1 − w)·T²·KL(softmax(teacher/T) ‖ softmax(student/T)) + w·CE(student, labels) (Hinton et al. 2015, section 2).

    Args:
        student: logits (batch, classes).
        teacher: logits (batch, classes) for the same pixels.
        labels: int64 (batch,).
        recipe: gives T (`temperature`) and w (`hard_weight`); with loss "hard", w is 1.

    Returns:
        The mean over the batch, a scalar.
    """
    if recipe.loss == "hard":
        return functional.cross_entropy(student, labels)
    soft = functional.kl_div(
        functional.log_softmax(student / recipe.temperature, dim=1),
        functional.log_softmax(teacher / recipe.temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    loss = (1 - recipe.hard_weight) * recipe.temperature**2 * soft
    if recipe.hard_weight > 0:
        loss = loss + recipe.hard_weight * functional.cross_entropy(student, labels)
    return loss
