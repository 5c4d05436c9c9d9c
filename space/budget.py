"""The hard limits on a student's cost."""

from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

from space.architecture import Architecture

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
        cost, limits = architecture.cost(), self.limits
        spent = {name: getattr(cost, name) for name in limits}
        spent["parameters"] = max(cost.parameters, cost.deployed_parameters)
        return {name: (spent[name] - (limit - 1)) / limit for name, limit in limits.items()}

    def objection(self, architecture: Architecture) -> str | None:
        """Why an architecture is rejected, or None when it is within the budget."""
        over = [name for name, violation in self.violations(architecture).items() if violation > 0]
        cost = architecture.cost()
        return ", ".join(f"{name} {getattr(cost, name):,} ≥ {getattr(self, name):,}" for name in over) or None
