"""A student layer by layer: what each block is, the shape of its output, what it costs."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.facts.formats import costs, count, dimensions
from space.architecture import Architecture
from space.blocks.base import Shape
from space.cost import Cost
from space.describe import describe, describe_block
from studies.shipped import find, names


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The input, a block or the classifier; its weights are applied `repeats` times, which `cost` covers."""

    name: str
    activation: str
    shape: Shape
    cost: Cost
    repeats: int = 1


def layers_of(architecture: Architecture) -> list[Layer]:
    """The input, all blocks, the classifier; their costs add up to the student's."""
    first, *outputs = architecture.shapes()
    *block_costs, classifier_cost = architecture.costs()
    free = Cost.of(weights=0, trained=0, kept=0, macs=0, memory=0)
    blocks = [
        Layer(
            name=describe_block(block),
            activation=getattr(block, "activation", "").replace("_", " "),
            shape=shape,
            cost=cost,
            repeats=getattr(block, "repeats", getattr(block, "unfolds", 1)),
        )
        for block, shape, cost in zip(architecture.blocks, outputs, block_costs, strict=True)
    ]
    classifier = Layer(
        name=f"linear {architecture.classes}",
        activation="",
        shape=(architecture.classes, 1, 1),
        cost=classifier_cost,
    )
    return [Layer(name="input", activation="", shape=first, cost=free), *blocks, classifier]


def layer_table(architecture: Architecture) -> RenderableType:
    """The layers as a table for the terminal, with the student's totals and its digest."""
    total = architecture.cost()
    table = Table(box=None, pad_edge=False, show_footer=True, footer_style="bold")
    table.add_column("layer", "total, peak memory", overflow="fold")
    table.add_column("activation")
    for name, footer in (
        ("output", ""),
        ("parameters", count(total.parameters)),
        ("MACs", count(total.macs)),
        ("memory (B)", count(total.memory_bytes)),
    ):
        table.add_column(name, footer, justify="right", no_wrap=True)
    for layer in layers_of(architecture):
        table.add_row(
            layer.name,
            layer.activation,
            dimensions(layer.shape),
            count(layer.cost.parameters),
            count(layer.cost.macs),
            count(layer.cost.memory_bytes),
        )
    head = Text(f"{architecture.family} {architecture.digest}", style="bold")
    return Group(head, Text(costs(total)), Text(), table)


def shipped_table() -> RenderableType:
    """The shipped architectures as a table for the terminal."""
    table = Table("architecture", "family", box=None, pad_edge=False)
    table.add_column("parameters", justify="right")
    table.add_column("layers", overflow="fold")
    for name in names():
        architecture = find(name)
        table.add_row(name, architecture.family, count(architecture.cost().parameters), describe(architecture))
    return table
