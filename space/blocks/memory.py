"""How a layer's output may lie over its input in memory, rows of positions with channels last."""

from space.blocks.base import Shape, size


def clearance(source: Shape, target: Shape, stride: int = 1, padding: int = 0) -> int:
    """Values by which an output has to begin before its input, so that no row is overwritten that is still read.

    Row y of the output is written when rows of the input before row stride·y − padding are no longer needed. The most
    that is missing is at the first row that reads no padding, the one behind it, or the last, because in between it
    is linear in y.
    """
    last = target[1] - 1
    first = min(padding // stride, last)
    written, read = target[0] * target[2], source[0] * source[2]
    missing = ((y + 1) * written - max(0, stride * y - padding) * read for y in (first, min(first + 1, last), last))
    return min(max(missing), size(target))


def sliding(source: Shape, target: Shape, stride: int = 1, padding: int = 0) -> int:
    """Values that input and output of a layer take together, the output beginning `clearance` before the input."""
    return max(size(source) + clearance(source, target, stride, padding), size(target))
