"""Liquid cells: LTC (Hasani et al. 2021) and CfC (Hasani et al. 2022)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-8

Step = Callable[[Tensor, tuple[Tensor, ...]], Tensor]
"""A cell's state (batch, hidden) after a time step, from the state before and the step's inputs (batch, …)."""


def read(step: Step, state: Tensor, inputs: tuple[Tensor, ...], mean: bool) -> Tensor:
    """Step through inputs (batch, time, …) from a first state; the last state, or the mean of all states.

    An export scans, so that its size and the seconds it takes do not grow with the steps.
    """
    steps = inputs[0].shape[1]
    if torch.compiler.is_exporting():
        return _scanned(step, state, inputs, mean)
    total = state
    for index in range(steps):
        state = step(state, tuple(one[:, index] for one in inputs))
        total = total + state
    return total / steps if mean else state


def _scanned(step: Step, state: Tensor, inputs: tuple[Tensor, ...], mean: bool) -> Tensor:
    from torch._higher_order_ops.scan import scan  # imported where it is needed: it is slow, and no public name yet

    def combine(carry: tuple[Tensor, Tensor], one: tuple[Tensor, ...]) -> tuple[tuple[Tensor, Tensor], Tensor]:
        after = step(carry[0], one)
        return (after, carry[1] + after), after.clone()

    last, _ = scan(combine, (state, torch.zeros_like(state)), tuple(one.transpose(0, 1) for one in inputs))
    found: Tensor = last[1] / inputs[0].shape[1] if mean else last[0]
    return found


class LiquidTimeConstantCell(nn.Module):
    """LTC (Hasani et al. 2021, eq. 1 and its fused semi-implicit solver), Δt = 1 a step, fully wired.

    Conductances and capacities are positive through a softplus. Inputs pass an affine map of their own, the
    output none: the layer after it is linear.
    """

    def __init__(self, inputs: int, hidden: int, unfolds: int, mean: bool = False) -> None:
        """Cell from `inputs` features to `hidden` states, with `unfolds` solver steps a time step."""
        super().__init__()
        self.unfolds, self.hidden, self.mean = unfolds, hidden, mean
        self.input_scale = nn.Parameter(torch.ones(inputs))
        self.input_shift = nn.Parameter(torch.zeros(inputs))
        self.sensory = nn.ParameterDict(self._synapses(inputs, hidden))
        self.recurrent = nn.ParameterDict(self._synapses(hidden, hidden))
        self.leak = nn.Parameter(torch.empty(hidden).uniform_(0.001, 1))
        self.leak_potential = nn.Parameter(torch.empty(hidden).uniform_(-0.2, 0.2))
        self.capacity = nn.Parameter(torch.empty(hidden).uniform_(0.4, 0.6))

    @staticmethod
    def _synapses(sources: int, hidden: int) -> dict[str, nn.Parameter]:
        signs = torch.randint(0, 2, (sources, hidden)) * 2.0 - 1
        return {
            "weight": nn.Parameter(torch.empty(sources, hidden).uniform_(0.001, 1)),
            "steepness": nn.Parameter(torch.empty(sources, hidden).uniform_(3, 8)),
            "threshold": nn.Parameter(torch.empty(sources, hidden).uniform_(0.3, 0.8)),
            "reversal": nn.Parameter(signs),
        }

    @staticmethod
    def _currents(synapses: nn.ParameterDict, source: Tensor) -> tuple[Tensor, Tensor]:
        """The terms f·A and f of the solver, (…, hidden), summed over a target's sources, (…, sources).

        Its shapes are not checked: an export traces it inside of a scan, where nothing else may happen.
        """
        gate = torch.sigmoid(synapses["steepness"] * (source.unsqueeze(-1) - synapses["threshold"]))
        conductance = functional.softplus(synapses["weight"]) * gate
        return (conductance * synapses["reversal"]).sum(-2), conductance.sum(-2)

    def forward(self, sequence: Float[Tensor, "batch time inputs"]) -> Float[Tensor, "batch {self.hidden}"]:
        """Return the last state, or the mean of all states."""
        drive, conductance = self._currents(self.sensory, sequence * self.input_scale + self.input_shift)
        capacity = functional.softplus(self.capacity) * self.unfolds
        leak = functional.softplus(self.leak)

        def step(state: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
            for _ in range(self.unfolds):
                inner_drive, inner_conductance = self._currents(self.recurrent, state)
                numerator = capacity * state + leak * self.leak_potential + inner_drive + inputs[0]
                denominator = capacity + leak + inner_conductance + inputs[1]
                state = numerator / (denominator + EPSILON)
            return state

        return read(step, sequence.new_zeros(sequence.shape[0], self.hidden), (drive, conductance), self.mean)


class ClosedFormCell(nn.Module):
    """CfC (Hasani et al. 2022, eq. 4) without a backbone: x ← tanh(f₁)(1 − s) + s·tanh(f₂), s = σ(t).

    With a constant Δt the two time layers of the paper are one layer t.
    """

    def __init__(self, inputs: int, hidden: int, mean: bool = False) -> None:
        """Cell from `inputs` features to `hidden` states."""
        super().__init__()
        self.hidden, self.mean = hidden, mean
        self.input = nn.Linear(inputs, 3 * hidden)
        self.recurrent = nn.Linear(hidden, 3 * hidden, bias=False)

    def forward(self, sequence: Float[Tensor, "batch time inputs"]) -> Float[Tensor, "batch {self.hidden}"]:
        """Return the last state, or the mean of all states."""
        drives = self.input(sequence)

        def step(state: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
            first, second, time = (inputs[0] + self.recurrent(state)).chunk(3, dim=1)
            gate = torch.sigmoid(time)
            return torch.tanh(first) * (1 - gate) + gate * torch.tanh(second)

        return read(step, sequence.new_zeros(sequence.shape[0], self.hidden), (drives,), self.mean)
