"""The hard limits on a student's cost."""

from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

from space.architecture import Architecture
from space.cost import Cost

Limit = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Strict upper limits: every cost must stay under its limit; None means no limit.

    >>> from space.architecture import Architecture
    >>> from space.blocks.mlp import Dense
    >>> student = Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=(Dense(width=16),))
    >>> Budget().rejection_reason(student)
    'parameters 12,746 ≥ 10,000'
    >>> Budget(parameters=None, macs=20_000).rejection_reason(student) is None
    True
    """

    parameters: Limit | None = 10_000
    """Trainable parameters, weight-tied ones counted once; the deployed ones stay below it too [parameters]."""
    macs: Limit | None = None
    """Multiply-accumulates of one sample [MACs]."""
    memory_bytes: Limit | None = None
    """Arena of int8 activations: what layers that run in order and slide over their input need at most [bytes]."""
    int8_bytes: Limit | None = None
    """Deployed size: one byte a weight, four a bias or a multiplier behind sums [bytes]."""

    @property
    def limits(self) -> dict[str, int]:
        """The limits that are set, by the name of the cost."""
        return {field.name: limit for field in fields(self) if (limit := getattr(self, field.name)) is not None}

    def violations(self, architecture: Architecture) -> dict[str, float]:
        """Relative excess of every limited cost: positive when over its limit, else at most 0."""
        limits = self.limits
        return {name: (spent - (limits[name] - 1)) / limits[name] for name, spent in self._spent(architecture).items()}

    def rejection_reason(self, architecture: Architecture) -> str | None:
        """Why an architecture is rejected, or None when it is within the budget."""
        limits = self.limits
        spent = self._spent(architecture).items()
        return ", ".join(f"{name} {cost:,} ≥ {limits[name]:,}" for name, cost in spent if cost >= limits[name]) or None

    def _spent(self, architecture: Architecture) -> dict[str, int]:
        cost = architecture.cost()
        spent = {name: getattr(cost, name) for name in self.limits}
        return spent | ({"parameters": limited_parameters(cost)} if "parameters" in spent else {})


def limited_parameters(cost: Cost) -> int:
    """Parameters as a limit counts them: those trained or those deployed, whichever are more."""
    return max(cost.parameters, cost.deployed_parameters)
