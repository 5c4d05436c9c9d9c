"""Optimizers of students and teachers: AdamW, and Muon for the weight matrices of small networks."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from kd.optim.recipe import Optimizer

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = 3.4445, -4.7750, 2.0315
ADAM_SIZE = 0.2
"""Root mean square of an AdamW update, at a rate of 1, that Muon's are scaled to (Liu et al. 2025, section 2.2)."""
BETAS = 0.9, 0.999
EPSILON = 1e-8


class Trainable(Protocol):
    """A network that knows which of its parameters are weight matrices: a student or a teacher."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""

    def matrices(self) -> dict[Tensor, torch.Size]:
        """Weights that map channels, rows or columns linearly, the classifier's excepted, and their matrix shapes."""


def optimizer_of(
    model: Trainable, name: Optimizer, learning_rate: float, weight_decay: float, others: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The optimizer `name` for a student or teacher and for the parameters of `others` that learn with it."""
    trained = [*model.parameters(), *others]
    if name == "adamw":
        return torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay, foreach=True)
    return Muon(model.matrices(), trained, learning_rate, weight_decay)


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates for matrices (Jordan et al. 2024), AdamW for all other parameters.

    Updates have the root mean square that AdamW's have (Liu et al. 2025, eq. 4), so both share rate and decay.
    """

    def __init__(self, matrices: Mapping[Tensor, torch.Size], trained: Iterable[Tensor], lr: float, decay: float):
        """Optimise `trained`; those among `matrices` as (batches of) matrices of the shapes given."""
        self._shapes = dict(matrices)
        rest = [p for p in trained if p not in self._shapes]
        groups = [{"params": list(self._shapes), "matrices": True}, {"params": rest, "matrices": False}]
        super().__init__([group for group in groups if group["params"]], {"lr": lr, "weight_decay": decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Make one step; parameters without a gradient stay."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if not moved:
                continue
            torch._foreach_mul_(moved, 1 - group["lr"] * group["weight_decay"])
            if group["matrices"]:
                self._orthogonal(moved, group["lr"])
            else:
                self._adam(moved, group["lr"])

    def _orthogonal(self, parameters: list[Tensor], rate: float) -> None:
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
            update = parameter.grad.lerp(momentum, MOMENTUM)  # Nesterov's
            shape = self._shapes[parameter]
            update = orthogonal(update.reshape(shape)).view(parameter.shape)
            parameter.sub_(update, alpha=rate * ADAM_SIZE * max(shape[-2:]) ** 0.5)

    def _adam(self, parameters: list[Tensor], rate: float) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros(()),
                    "mean": torch.zeros_like(parameter),
                    "square": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        gradients = [p.grad for p in parameters if p.grad is not None]
        means, squares = [s["mean"] for s in states], [s["square"] for s in states]
        for state in states:
            state["step"] += 1
        step = int(states[0]["step"])
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, (1 - BETAS[1] ** step) ** 0.5)
        torch._foreach_add_(roots, EPSILON)
        torch._foreach_addcdiv_(parameters, means, roots, -rate / (1 - BETAS[0] ** step))


def orthogonal(matrix: Tensor) -> Tensor:
    """Bring the singular values of matrices, (rows, columns) or (batch, rows, columns), close to 1.

    Five Newton-Schulz steps, X ← aX + (bA + cA²)X with A = XXᵀ: Jordan's coefficients leave them at 0.7 to 1.2.
    """
    a, b, c = COEFFICIENTS
    wide = matrix.mT if matrix.shape[-2] > matrix.shape[-1] else matrix
    x: Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + EPSILON)
    sum_of = torch.addmm if x.ndim == 2 else torch.baddbmm  # fused, half the time of single operations
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = sum_of(x, sum_of(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if matrix.shape[-2] > matrix.shape[-1] else x
