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

    `parameters` also limits the deployed parameters (batch norm folded).
    """

    parameters: Limit | None = 10_000
    macs: Limit | None = None
    memory_bytes: Limit | None = None
    int8_bytes: Limit | None = None

    @property
    def limits(self) -> dict[str, int]:
        """The limits there are, by the cost's name."""
        return {field.name: limit for field in fields(self) if (limit := getattr(self, field.name)) is not None}

    def violations(self, architecture: Architecture) -> dict[str, float]:
        """Relative excess of every limited cost: at most 0 when within the budget, positive when not."""
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
        return spent | ({"parameters": most_parameters(cost)} if "parameters" in spent else {})


def most_parameters(cost: Cost) -> int:
    """What a limit on parameters counts: those trained or those deployed, whichever are more."""
    return max(cost.parameters, cost.deployed_parameters)
