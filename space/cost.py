"""Cost of a network, in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network, or a part of one, takes; costs of parts that run one after the other add up.

    >>> block = Cost.of(weights=9 * 8, trained=16, kept=8, macs=9 * 8 * 14 * 14, memory=28 * 28 + 8 * 14 * 14)
    >>> block.parameters, block.deployed_parameters, block.int8_bytes
    (88, 80, 104)
    >>> Cost.total([block, block]).parameters
    176
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

    @classmethod
    def total(cls, parts: Sequence["Cost"]) -> "Cost":
        """Cost of running parts one after the other."""
        return cls(
            parameters=sum(part.parameters for part in parts),
            deployed_parameters=sum(part.deployed_parameters for part in parts),
            macs=sum(part.macs for part in parts),
            memory_bytes=max(part.memory_bytes for part in parts),
            int8_bytes=sum(part.int8_bytes for part in parts),
        )
