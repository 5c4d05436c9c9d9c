"""What activations a program keeps, and within which limits: seen on training samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kd.deploy.integers import Quantisation, integer_weight, scale_axes
from kd.deploy.interpret import Floating, Site, run
from kd.deploy.program import Program
from kd.deploy.quantize_cells import FRACTION

FINE = ("state", "mean", "hidden", "column", "gate")
"""Names of sites that are kept in 16 bits."""
KEPT = 20_000
"""Values of a site that are kept of a batch to choose its limits by."""
SHRINKS = (1.0, 0.97, 0.94, 0.9, 0.86, 0.82, 0.77, 0.72, 0.66, 0.6)
"""Shares of the largest values that are tried as limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How each site is kept, and the largest magnitude of each and of each stage's sums."""

    kept: Mapping[Site, Quantisation]
    largest: Mapping[Site, float]

    def fine(self, index: int, name: str) -> Quantisation:
        """How a site of `FINE` is kept in 16 bits; a state that is one of a closed-form cell."""
        match name:
            case "mean":
                return Quantisation(scale=_kept_before(self.kept, index).scale / 32)
            case "hidden":
                return Quantisation(scale=max(self.largest[index, name, 0], 1e-6) / 2**12)
            case "column":
                return Quantisation(scale=max(self.largest[index, name, 0], 1e-6) / 2**13)
            case "gate":
                return Quantisation(scale=2.0**-14)
            case "state":
                return Quantisation(scale=2.0**-FRACTION)
        raise KeyError(name)


@dataclass(slots=True)
class _Observer(Floating):
    """Keeps some values of every site."""

    values: dict[Site, list[Tensor]] = field(default_factory=dict)
    largest: dict[Site, float] = field(default_factory=dict)

    def activation(self, site: Site, values: Tensor) -> Tensor:
        flat = values.flatten()
        chosen = flat[:: max(1, len(flat) // KEPT)]
        self.values.setdefault(site, []).append(torch.cat([chosen, flat.min()[None], flat.max()[None]]))
        return self.sums(site, values)

    def sums(self, site: Site, values: Tensor) -> Tensor:
        self.largest[site] = max(self.largest.get(site, 0.0), float(values.abs().max()))
        return values


@torch.no_grad()
def calibrate(program: Program, samples: Tensor) -> Calibration:
    """Limits from samples as a `kd.data.dataset.Split` has them: a few hundred of the training split.

    The limits of a site are those with the least squared error of rounding and cutting off, which is fewer values at
    the ends than all.
    """
    observer = _Observer()
    for part in samples.split(64):
        run(program, part, observer)
    last = len(program.operations) - 1
    kept = {site: _limits(torch.cat(values)) for site, values in observer.values.items()}
    # logits are told apart at their largest values
    ends = torch.cat(observer.values[last, "out", 0]).aminmax()
    kept[last, "out", 0] = Quantisation.of(float(ends.min), float(ends.max))
    if not program.sequences:
        kept[-1, "input", 0] = pixels(program)
    for index in range(last):
        if (index, "pool", 0) in kept:  # means of some values are kept as these are
            kept[index, "pool", 0] = _kept_before(kept, index)
    return Calibration(kept=kept, largest=observer.largest)


def _kept_before(kept: Mapping[Site, Quantisation], index: int) -> Quantisation:
    """How the input of an operation is kept."""
    places = [site for site in kept if site[0] < index and site[1] in ("input", "out", "channel out")]
    return kept[max(places, key=lambda site: (site[0], site[2]))]


def pixels(program: Program) -> Quantisation:
    """How normalised pixels are kept: all of them can be, and those of a single channel exactly."""
    ends = torch.stack([program.shift, program.shift + 255 * program.scale]).double()
    return Quantisation.of(float(ends.min()), float(ends.max()))


def _limits(values: Tensor) -> Quantisation:
    low, high = float(values.min()), float(values.max())
    choices = [Quantisation.of(low, high * share) for share in SHRINKS]
    first = min(choices, key=lambda choice: _error(values, choice))
    top = high * SHRINKS[choices.index(first)]
    return min((Quantisation.of(low * share, top) for share in SHRINKS), key=lambda choice: _error(values, choice))


def _error(values: Tensor, quantisation: Quantisation) -> float:
    return float((round_to(values, quantisation) - values).square().sum())


def round_to(values: Tensor, quantisation: Quantisation) -> Tensor:
    """Values as 8 bits can keep them."""
    scale, zero = quantisation.scale, quantisation.zero
    return (torch.round(values / scale + zero).clamp(-128, 127) - zero) * scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding(Floating):
    """A watcher that rounds what a quantised program rounds, with gradients as if it did not."""

    calibration: Calibration

    def activation(self, site: Site, values: Tensor) -> Tensor:
        """Values cut off and rounded: no gradient where they are cut off."""
        if site[1] in FINE:
            return values
        quantisation = self.calibration.kept[site]
        low, high = ((end - quantisation.zero) * quantisation.scale for end in (-128, 127))
        inside = values.clamp(low, high)
        return inside + (round_to(inside, quantisation) - inside).detach()

    def weight(self, index: int, name: str, values: Tensor) -> Tensor:
        """Weights rounded, each output channel by its own scale."""
        axes = scale_axes(name)
        with torch.no_grad():
            rounded, scale = integer_weight(values, axes)
            scale = scale.reshape(*scale.shape, *[1] * (values.ndim - axes))
            change = (rounded.double() * scale).to(values.dtype) - values
        return values + change
