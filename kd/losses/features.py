"""What a student takes over from inside its teacher: losses between the maps of a stage of each.

Symbols: A and B are the student's and the teacher's maps, (batch, channels, height, width) of equal height and width, b
the batch. Row–column layers mix positions and a matrix has channels for columns: their "positions" are only those of
the numbers.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kd.optim.recipe import FeatureLoss
from space.architecture import Architecture
from space.errors import InputError
from space.network import Student


def hint(
    student: Float[Tensor, "batch channels height width"], teacher: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, ""]:
    """Mean of (r(A) − B)², of maps r(A) projected to the teacher's channels (Romero et al. 2015, FitNets, eq. 3).

    The paper sums over channels and positions and halves.
    """
    return functional.mse_loss(student, teacher)


def attention(
    student: Float[Tensor, "batch channels height width"], teacher: Float[Tensor, "batch teacher_channels height width"]
) -> Float[Tensor, ""]:
    """‖Q(A)/‖Q(A)‖₂ − Q(B)/‖Q(B)‖₂‖₂², Q = Σ_c A_c² over the channels (Zagoruyko & Komodakis 2017, eq. 2 with p = 2).

    A sum over positions, a mean over the batch; squared, as in the authors' code, and without the factor β/2, which
    `feature_weight` stands for. At most 2; 0 for maps of one position, where there is nothing to attend to.
    """
    return (_attended(student) - _attended(teacher)).square().sum(1).mean()


def similarity(student: Float[Tensor, "batch ..."], teacher: Float[Tensor, "batch ..."]) -> Float[Tensor, ""]:
    """‖G(B) − G(A)‖²_F/b² (Tung & Mori 2019, eq. 4), G = A·Aᵀ of flattened samples, its rows of unit length (eq. 1-3).

    At most 4/b; the paper weighs it with 3,000. Channels and positions need not be as many.
    """
    return (_similarities(teacher) - _similarities(student)).square().mean()


LOSSES: dict[FeatureLoss, Callable[[Tensor, Tensor], Tensor]] = {
    "hint": hint,
    "attention": attention,
    "similarity": similarity,
}


def guided_block(architecture: Architecture, positions: int) -> int:
    """Index of the last block whose maps have at least so many positions; if none has, of the last that has most."""
    counts = [height * width for _, height, width in architecture.shapes()[1:]]
    return max(range(len(counts)), key=lambda block: (min(counts[block], positions), block))


class Guide(nn.Module):
    """The feature loss of one student in training; it owns the projection of "hint", which no student keeps.

    The student's stage is `guided_block` for the positions of the teacher's maps. Where maps differ in height or width,
    the larger are averaged to the smaller: a student of flat vectors is compared with averages over all positions, and
    "attention" asks nothing of it.
    """

    def __init__(self, student: Student, architecture: Architecture, loss: FeatureLoss, teacher: Tensor | None) -> None:
        """Watch a block of `student`, whose loss is taken to maps like `teacher`.

        Raises:
            InputError: when views hold no teacher's maps, or those for "attention" are of one position.
        """
        super().__init__()
        if teacher is None:
            raise InputError(f"recipe.feature_loss = '{loss}': the views hold no maps of a teacher: set teacher.stage")
        _, channels, height, width = teacher.shape
        if loss == "attention" and height * width == 1:
            raise InputError(
                "recipe.feature_loss = 'attention': the teacher's maps have one position: choose a stage with maps, "
                "and teacher.cells above 1"
            )
        block = guided_block(architecture, height * width)
        self.loss = LOSSES[loss]
        self.projection: nn.Module = nn.Identity()
        if loss == "hint":
            self.projection = nn.Conv2d(architecture.shapes()[block + 1][0], channels, 1)
        student.blocks[block].register_forward_hook(self._see)

    def _see(
        self, _block: nn.Module, _inputs: tuple[Tensor, ...], maps: Float[Tensor, "batch channels height width"]
    ) -> None:
        self.maps = maps

    def forward(self, teacher: Float[Tensor, "batch channels height width"]) -> Float[Tensor, ""]:
        """Return the loss between the student's latest maps and the teacher's for the same samples."""
        height, width = map(min, self.maps.shape[2:], teacher.shape[2:])
        student, teacher = (functional.adaptive_avg_pool2d(maps, (height, width)) for maps in (self.maps, teacher))
        return self.loss(self.projection(student), teacher)


def _attended(maps: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch height*width"]:
    return functional.normalize(maps.square().sum(1).flatten(1))


def _similarities(maps: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch batch"]:
    flat = maps.flatten(1)
    return functional.normalize(torch.matmul(flat, flat.T))
