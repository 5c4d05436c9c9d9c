import pytest
import torch
from torch import Tensor

from kd.data.augmentation import Augmentation
from kd.data.mixup import mix

LABELS = torch.arange(400) % 10


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain(shape: tuple[int, ...] = (1, 20, 20)) -> Tensor:
    """Images of one value each, which is their number."""
    return torch.arange(400.0).view(-1, *(1 for _ in shape)).expand(-1, *shape).contiguous()


def test_without_mixing_nothing_changes() -> None:
    values, labels = mix(plain(), LABELS, Augmentation(), generator())
    assert torch.equal(values, plain())
    assert labels is LABELS


@pytest.mark.parametrize("policy", [Augmentation(mixup=0.4), Augmentation(cutmix=1), Augmentation(mixup=1, cutmix=1)])
def test_mixing_is_repeatable(policy: Augmentation) -> None:
    first, again = mix(plain(), LABELS, policy, generator()), mix(plain(), LABELS, policy, generator())
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], mix(plain(), LABELS, policy, generator(1))[0])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_interpolates_by_shares_from_the_beta_distribution(alpha: float) -> None:
    one_hot = torch.eye(400)[:, None, :, None]
    values, labels = mix(one_hot, LABELS, Augmentation(mixup=alpha), generator())
    parts = values[:, 0, :, 0]
    torch.testing.assert_close(parts.sum(1), torch.ones(400))
    assert int((parts > 0).sum(1).max()) == 2
    own = parts.diagonal()
    deviation = (4 * (2 * alpha + 1)) ** -0.5  # of Beta(α, α)
    assert (float(own.mean()), float(own.std())) == pytest.approx((0.5, deviation), abs=0.07)
    larger = torch.where(own >= 0.5, LABELS, LABELS[(parts - torch.diag(own)).argmax(1)])
    assert torch.equal(labels, larger)


@pytest.mark.parametrize("alpha", [1e-9, 1e-3, 0.01])
def test_mixup_of_a_tiny_alpha_takes_one_of_the_two(alpha: float) -> None:
    values, _ = mix(torch.eye(400)[:, None, :, None], LABELS, Augmentation(mixup=alpha), generator())
    own = values[:, 0, :, 0].diagonal()
    assert float(((own < 0.1) | (own > 0.9)).float().mean()) > 0.9
    assert float(own.mean()) == pytest.approx(0.5, abs=0.07)


def test_cutmix_pastes_one_rectangle_of_the_images_proportions() -> None:
    values, labels = mix(plain((2, 20, 40)), LABELS, Augmentation(cutmix=1), generator())
    kept = values == plain((2, 20, 40))
    assert torch.equal(kept[:, 0], kept[:, 1])
    pasted = ~kept[:, 0]
    rows, columns = pasted.any(2).sum(1), pasted.any(1).sum(1)
    assert torch.equal(rows * columns, pasted.flatten(1).sum(1))
    assert (columns - 2 * rows).abs().max() <= 1
    share = kept[:, 0].float().mean((1, 2))
    assert float(share.mean()) == pytest.approx(0.5, abs=0.05)
    assert bool(pasted.any(0).all())
    for index in torch.nonzero(pasted.flatten(1).any(1))[:, 0].tolist():
        (other,) = values[index, 0][pasted[index]].unique().tolist()
        assert other != index
        assert labels[index] == LABELS[index if share[index] >= 0.5 else int(other)]


def test_sequences_get_a_stretch_of_time() -> None:
    values, _ = mix(plain((50, 3)), LABELS, Augmentation(cutmix=1), generator())
    pasted = (values != plain((50, 3)))[:, :, 0]
    starts = (pasted[:, 1:] & ~pasted[:, :-1]).sum(1) + pasted[:, 0]
    assert starts.max() == 1
    assert float(pasted.float().mean()) == pytest.approx(0.5, abs=0.04)


def test_with_both_a_coin_decides() -> None:
    values, _ = mix(plain(), LABELS, Augmentation(mixup=1, cutmix=1), generator())
    blended = values.flatten(1).std(1) == 0
    assert float(blended.float().mean()) == pytest.approx(0.5, abs=0.1)


def test_a_batch_of_one_stays_itself() -> None:
    values, labels = mix(torch.ones(1, 1, 4, 4), torch.tensor([3]), Augmentation(mixup=1, cutmix=1), generator())
    assert torch.equal(values, torch.ones(1, 1, 4, 4))
    assert labels.tolist() == [3]
