"""What running a network takes, in closed form."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What running something takes.

    `parameters` are trainable, weight-tied ones counted once. `deployed_parameters` are left when batch norm is
    folded. `macs` are multiply-accumulates of one sample in convolutions and matrix products. `memory_bytes` is the
    largest sum of int8 activations alive at once when layers run in order. `int8_bytes` is the deployed size:
    one byte a weight, four a bias or a scale that could not be folded.
    """

    parameters: int
    deployed_parameters: int
    macs: int
    memory_bytes: int
    int8_bytes: int

    @classmethod
    def of(cls, *, weights: int, trained: int, kept: int, macs: int, memory: int) -> "Cost":
        """Cost from `weights`, `trained` vectors (norms, biases), and the `kept` part of those after folding."""
        return cls(
            parameters=weights + trained,
            deployed_parameters=weights + kept,
            macs=macs,
            memory_bytes=memory,
            int8_bytes=weights + 4 * kept,
        )

    def __add__(self, other: "Cost") -> "Cost":
        """Cost of running both, one after the other."""
        return Cost(
            parameters=self.parameters + other.parameters,
            deployed_parameters=self.deployed_parameters + other.deployed_parameters,
            macs=self.macs + other.macs,
            memory_bytes=max(self.memory_bytes, other.memory_bytes),
            int8_bytes=self.int8_bytes + other.int8_bytes,
        )
