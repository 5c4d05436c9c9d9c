"""Cost of a network, in closed form."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network, or a part of one, takes; costs of parts that run one after the other add up.

    >>> block = Cost.of(weights=9 * 8, trained=16, kept=8, macs=9 * 8 * 14 * 14, memory=28 * 28 + 8 * 14 * 14)
    >>> block.parameters, block.deployed_parameters, block.int8_bytes
    (88, 80, 104)
    >>> (block + block).memory_bytes == block.memory_bytes
    True
    """

    parameters: int
    """Trainable parameters, weight-tied ones counted once."""
    deployed_parameters: int
    """Parameters left when batch norm is folded into the layer before or behind it."""
    macs: int
    """Multiply-accumulates of one sample in convolutions, matrix products and synapses of LTC cells."""
    memory_bytes: int
    """Arena of int8 activations: what layers that run in order and slide over their input need at most [bytes]."""
    int8_bytes: int
    """Deployed size: one byte a weight, four a bias or a multiplier behind sums [bytes]."""

    @classmethod
    def of(cls, *, weights: int, trained: int, kept: int, macs: int, memory: int, multipliers: int = 0) -> "Cost":
        """Cost from `weights`, `trained` vectors (norms, biases), and the `kept` part of those after folding.

        Weights of 8 bits have a scale a channel: those that are in no norm that is kept are `multipliers` more.
        """
        return cls(
            parameters=weights + trained,
            deployed_parameters=weights + kept,
            macs=macs,
            memory_bytes=memory,
            int8_bytes=weights + 4 * (kept + multipliers),
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
