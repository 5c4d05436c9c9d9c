"""Mixed samples: two of a batch in one, which the teacher then labels with its logits."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kd.data.augmentation import Augmentation, stretch
from space.blocks.base import as_maps


def mix(
    values: Float[Tensor, " batch *shape"],
    labels: Int64[Tensor, " batch"],
    policy: Augmentation,
    generator: torch.Generator,
) -> tuple[Float[Tensor, " batch *shape"], Int64[Tensor, " batch"]]:
    """Mix each sample with another of the batch, by mixup or CutMix; with both on, a coin decides for each.

    Args:
        values: images (batch, channels, height, width) or sequences (batch, time, features).
        labels: class of every sample.
        policy: `mixup` and `cutmix` are the α of Beta(α, α), which the sample's own share λ is drawn from.
        generator: the source of randomness, on the values' device.

    Returns:
        The mixed samples, and for each the label of its larger part. The teacher's logits for the mixed pixels are the
        target; a hard loss beside it knows the smaller part no more.
    """
    if not policy.mixup and not policy.cutmix:
        return values, labels
    if values.ndim == 3:
        maps, labels = mix(as_maps(values), labels, policy, generator)
        return maps[:, :, :, 0].transpose(1, 2), labels
    device, count = values.device, len(values)
    partner = torch.randperm(count, generator=generator, device=device)
    # two different samples meet in every mixture: who would meet itself takes the next
    order = torch.arange(count, device=device)
    partner = torch.where(partner == order, (order + 1) % count, partner)
    others = values[partner]
    mixed, share = values, torch.ones(count, device=device)
    if policy.mixup:
        share = _beta(policy.mixup, count, generator, device)
        mixed = torch.lerp(others, values, share[:, None, None, None].to(values.dtype))
    if policy.cutmix:
        pasted, kept = _paste(values, others, _beta(policy.cutmix, count, generator, device), generator)
        chosen = torch.ones(count, dtype=torch.bool, device=device)
        if policy.mixup:
            chosen = torch.rand(count, generator=generator, device=device) < 0.5
        mixed = torch.where(chosen[:, None, None, None], pasted, mixed)
        share = torch.where(chosen, kept, share)
    return mixed, torch.where(share >= 0.5, labels, labels[partner])


def _beta(alpha: float, count: int, generator: torch.Generator, device: torch.device) -> Float[Tensor, " {count}"]:
    """Numbers from Beta(α, α) (Zhang et al. 2018, equation 2)."""
    # the Beta distribution of torch.distributions takes no generator; it is a Dirichlet one of two parts
    # a smaller α underflows to 0.5; of this one nearly all numbers are 0 or 1 already
    parts = torch.full((count, 2), max(alpha, 0.01), dtype=torch.float64, device=device)
    return torch._sample_dirichlet(parts, generator)[:, 0].float()


def _paste(
    values: Float[Tensor, "batch channels height width"],
    others: Float[Tensor, "batch channels height width"],
    share: Float[Tensor, " batch"],
    generator: torch.Generator,
) -> tuple[Float[Tensor, "batch channels height width"], Float[Tensor, " batch"]]:
    """CutMix (Yun et al. 2019, equations 1 and 2): a rectangle of the image's proportions comes from the other sample.

    Its area is a share 1 − λ; of a sequence, which has no width, a stretch of time is taken. It lies within the image,
    where theirs may reach over the edge.

    Returns:
        The samples, and what share of each is its own after rounding to whole pixels.
    """
    height, width = values.shape[2:]
    flat = min(height, width) == 1
    side = (1 - share) if flat else (1 - share).sqrt()
    sides = []
    for length in (height, width):
        place = torch.rand(len(values), generator=generator, device=values.device)
        sides.append(stretch(place, side * length if length > 1 else torch.ones_like(side), length))
    rows, columns = sides
    box = rows[:, :, None] & columns[:, None, :]
    return torch.where(box[:, None], others, values), 1 - box.float().mean((1, 2))
