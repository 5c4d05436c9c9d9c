"""Architectures and blocks in words."""

from dataclasses import asdict

from space.architecture import AnyBlock, Architecture


def describe(architecture: Architecture) -> str:
    """The blocks in short, for tables: kinds and the numbers that matter."""
    return " → ".join(map(describe_block, architecture.blocks))


def describe_block(block: AnyBlock) -> str:
    """A block in short: its kind and the numbers that matter."""
    numbers = asdict(block)
    kind = str(numbers.pop("kind")).replace("_", " ")
    numbers.pop("activation", None)
    repeats = numbers.pop("repeats", 1)
    if numbers.get("readout") == "last":
        del numbers["readout"]
    kernel, stride = numbers.pop("kernel", None), numbers.pop("stride", 1)
    words = [f"{kernel}×{kernel}"] if kernel else []
    words.append(kind)
    words += [
        str(v) if k in ("width", "mode", "cell", "axis") else f"{k.replace('_', ' ')} {v}"
        for k, v in numbers.items()
        if v
    ]
    if stride != 1:
        words.append(f"/{stride}")
    if repeats != 1:
        words.append(f"×{repeats}")
    return " ".join(words)
