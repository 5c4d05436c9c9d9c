"""Steps on a GPU: one is recorded as a CUDA graph, and replayed.

A step of a student is hundreds of kernels of microseconds each, which take longer to launch than to run: replayed as
one graph they are launched at once.
"""

import torch
from torch import Tensor

from kd.distil.step import Feed, Step, new_feed
from kd.distil.views import View
from space.errors import first_line

WARM_UP = 3
"""Steps before a recording: libraries choose their kernels in the first ones."""

ROOM = 256 * 2**20
"""Bytes of batches that lie where a recording finds them; more are brought there part by part."""


class Recording:
    """Makes steps whose batches it brings to one place in the device's memory, where a graph can find them.

    `reason` says why the step is not recorded, and called every time; None where it is.
    """

    def __init__(self, step: Step, example: View, count: int, record: bool = True) -> None:
        """Record a step over batches like those of `example`, (batches, size, ...), of which `count` numbers are known.

        Weights, averages, states and statistics are afterwards as they were.
        """
        self._step = step
        device = next(step.student.parameters()).device
        size = sum(part[0].nbytes for part in example.parts())
        room = max(1, min(len(example.labels), ROOM // size))
        batches = example.map(lambda part: torch.zeros_like(part[:1], device=device).repeat_interleave(room, 0))
        order = torch.arange(room, device=device)
        self._feed = new_feed(batches, order, torch.zeros((room, count), device=device))
        self._graph: torch.cuda.CUDAGraph | None = None
        self.reason: str | None = "only a GPU records"
        if record and device.type == "cuda":
            self._record()

    def _record(self) -> None:
        changed = self._step.changed()
        kept = [tensor.clone() for tensor in changed]
        stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._step(_rewound(self._feed))
        torch.cuda.current_stream().wait_stream(stream)
        try:
            # the outer context: one whose recording fails leaves its stream the current one
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
            ):
                self._step(self._feed)
        except RuntimeError as error:  # a step that waits for the device, or uses what cannot be recorded
            self.reason = first_line(error)
        else:
            self._graph, self.reason = graph, None
        with torch.no_grad():
            for tensor, before in zip(changed, kept, strict=True):
                tensor.copy_(before)

    def __call__(self, batches: View, order: Tensor, numbers: Tensor) -> Tensor:
        """Make steps on batches, wherever they lie; returns the sum of the losses, on the device.

        Args:
            batches: of a view, (batches, size, ...).
            order: which batch each step takes, on the CPU.
            numbers: of the steps, on the CPU.
        """
        feed = _rewound(self._feed)
        feed.total.zero_()
        room = len(feed.order)
        for start in range(0, len(order), room):
            part, count = order[start : start + room], len(order[start : start + room])
            place = part.to(batches.labels.device)
            for target, source in zip(feed.batches.parts(), batches.parts(), strict=True):
                target[:count].copy_(source.index_select(0, place))
            batches.release()
            feed.numbers[:count].copy_(numbers[start : start + room])
            feed.cursor.zero_()
            for _ in range(count):
                if self._graph is None:
                    self._step(feed)
                else:
                    self._graph.replay()
        return feed.total


def _rewound(feed: Feed) -> Feed:
    feed.cursor.zero_()
    return feed
