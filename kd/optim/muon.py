"""Optimizers of students and teachers: AdamW, and Muon for the weight matrices of small networks.

What they need to know of a step are numbers, known beforehand and read from the device: a step waits for nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
) -> "Muon":
    """The optimizer `name` for a student or teacher and for the parameters of `others` that learn with it."""
    matrices = model.matrices() if name == "muon" else {}
    return Muon(matrices, [*model.parameters(), *others], learning_rate, weight_decay)


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates for matrices (Jordan et al. 2024), AdamW for all other parameters.

    Updates have the root mean square that AdamW's have (Liu et al. 2025, eq. 4), so both share rate and decay.
    """

    def __init__(self, matrices: Mapping[Tensor, torch.Size], trained: Iterable[Tensor], lr: float, decay: float):
        """Optimise `trained`; those among `matrices` as (batches of) matrices of the shapes given."""
        self._shapes, self._decay = dict(matrices), decay
        rest = [p for p in trained if p not in self._shapes]
        groups = [{"params": list(self._shapes), "matrices": True}, {"params": rest, "matrices": False}]
        super().__init__([group for group in groups if group["params"]], {"lr": lr, "weight_decay": decay})
        for parameter in self.trained:
            names = ("momentum",) if parameter in self._shapes else ("mean", "square")
            self.state[parameter] = {name: torch.zeros_like(parameter) for name in names}

    @property
    def trained(self) -> list[Tensor]:
        """All parameters, the matrices first."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def numbers(self, rate: float, step: int) -> list[float]:
        """What `update` needs to know of a step, counted from 1.

        What decay leaves, AdamW's corrections of its two moments with the rate, and the rate of every matrix.
        """
        adam = (1 - BETAS[1] ** step) ** 0.5, -rate / (1 - BETAS[0] ** step)
        matrices = (rate * ADAM_SIZE * max(shape[-2:]) ** 0.5 for shape in self._shapes.values())
        return [1 - rate * self._decay, *adam, *matrices]

    @torch.no_grad()
    def update(self, gradients: Mapping[Tensor, Tensor], numbers: Sequence[Tensor]) -> None:
        """Make one step; parameters without a gradient stay.

        Args:
            gradients: of parameters.
            numbers: what the method of this name gives, each a tensor of no dimension on the parameters' device.
        """
        left, root, rate, *rates = numbers
        torch._foreach_mul_(list(gradients), left)
        for (parameter, shape), matrix_rate in zip(self._shapes.items(), rates, strict=True):
            if parameter in gradients:
                self._orthogonal(parameter, gradients[parameter], shape, matrix_rate)
        if rest := [parameter for parameter in gradients if parameter not in self._shapes]:
            self._adam(rest, [gradients[parameter] for parameter in rest], root, rate)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Make one step at the groups' rate with the parameters' own gradients."""
        gradients = {p: p.grad for p in self.trained if p.grad is not None}
        if not gradients:
            return
        steps = self.state[self.trained[0]].setdefault("step", torch.zeros(()))
        steps += 1
        numbers = self.numbers(self.param_groups[0]["lr"], int(steps))
        device = self.trained[0].device
        self.update(gradients, [torch.full((), number, device=device) for number in numbers])

    def _orthogonal(self, parameter: Tensor, gradient: Tensor, shape: torch.Size, rate: Tensor) -> None:
        momentum = self.state[parameter]["momentum"].lerp_(gradient, 1 - MOMENTUM)
        update = gradient.lerp(momentum, MOMENTUM)  # Nesterov's
        update = orthogonal(update.reshape(shape)).view(parameter.shape)
        parameter.addcmul_(update, rate, value=-1)

    def _adam(self, parameters: list[Tensor], gradients: list[Tensor], root: Tensor, rate: Tensor) -> None:
        means, squares = ([self.state[parameter][name] for parameter in parameters] for name in ("mean", "square"))
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, root)
        torch._foreach_add_(roots, EPSILON)
        updates = torch._foreach_mul(means, rate)
        torch._foreach_div_(updates, roots)
        torch._foreach_add_(parameters, updates)


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
