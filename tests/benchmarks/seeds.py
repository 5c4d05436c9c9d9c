"""Do seeds train faster together? python tests/benchmarks/seeds.py [--seeds 3] [--device cpu]

Forward and backward passes of several seeds of a student, one after the other and at once (`torch.func.vmap` over
stacked weights), batch 128, float32: thousands of images a second, on a CPU of its own time, on a GPU replayed as
graphs, as our steps are.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from grid import markdown
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from space.architecture import Architecture
from space.network import build
from studies import shipped

BATCH, STEPS, ROUNDS = 128, 5, 9
STUDENTS = (
    "row-column",
    "row-column-stem",
    "flat-cnn",
    "stem-cnn-4k",
    "tied-depthwise-1k",
    "bilinear-hybrid-2k",
    "liquid-cnn",
)


def passes(student: Architecture, seeds: int, device: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Gradients of all seeds on a batch each: one seed after the other, and all at once."""
    networks = [build(student).to(device) for _ in range(seeds)]
    images = torch.randn(seeds, BATCH, *student.shape, device=device)
    labels = torch.randint(student.classes, (seeds, BATCH), device=device)
    weights, buffers = stack_module_state(networks)

    def alone() -> None:
        for network, inputs, answers in zip(networks, images, labels, strict=True):
            torch.autograd.grad(cross_entropy(network(inputs), answers), list(network.parameters()))

    def output(weights: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor) -> Tensor:
        found: Tensor = functional_call(networks[0], (weights, buffers), (inputs,))
        return found

    def together() -> None:
        outputs = vmap(output)(weights, buffers, images).flatten(0, 1)
        torch.autograd.grad(seeds * cross_entropy(outputs, labels.flatten()), list(weights.values()))

    return alone, together


def recorded(function: Callable[[], object]) -> Callable[[], object]:
    """The same as one CUDA graph."""
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def seconds(function: Callable[[], object], device: str) -> float:
    """Time of one call, a CPU's own or a GPU's."""
    if device == "cpu":
        clock, wait = time.process_time, lambda: None
    else:
        clock, wait = time.perf_counter, torch.cuda.synchronize
    function()
    wait()
    began = clock()
    for _ in range(STEPS):
        function()
    wait()
    return (clock() - began) / STEPS


def main(seeds: Annotated[int, typer.Option(min=2)] = 3, device: str = "cpu") -> None:
    """Print the comparison."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    lines = [["student", "family", "one by one", "at once", "ratio"]]
    for name in STUDENTS:
        student = shipped.find(name)
        functions = passes(student, seeds, device)
        if device != "cpu":
            functions = recorded(functions[0]), recorded(functions[1])
        pairs = [[seconds(function, device) for function in functions] for _ in range(ROUNDS)]
        alone, together = (seeds * BATCH / statistics.median(times) / 1000 for times in zip(*pairs, strict=True))
        lines.append([name, student.family, f"{alone:.1f}", f"{together:.1f}", f"{together / alone:.2f}"])
    print(markdown(lines))


if __name__ == "__main__":
    typer.run(main)
