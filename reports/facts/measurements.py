"""What a student takes on a processor, in words."""

from kd.measure.measurement import Measurement
from reports.facts.formats import count, number
from space.board import CYCLES, TARGETS, Board, boards


def measurement_lines(measurement: Measurement, board: Board | None) -> list[str]:
    """A measurement for the terminal, with the verdict for a board, else for all boards with such a core."""
    one, samples = measurement, "samples" if measurement.data else "samples of noise"
    tools = " and ".join(filter(None, (one.compiler, one.emulator)))
    flash, ram = "", ""
    if one.emulator:
        flash = f", {count(one.image_flash)} with start and C library"
        ram = f", {count(one.all_ram)} with input and stack"
    lines = [
        f"{one.target}, {one.form}, {one.optimisation}: {tools}",
        f"  flash         {count(one.flash)} bytes of the student{flash}",
        f"  RAM           {count(one.ram)} bytes of the student{ram}",
        f"  stack         {count(one.stack)} bytes",
    ]
    if one.instructions is not None:
        lines.append(f"  instructions  {count(one.instructions)} a sample")
    if one.c_ms is not None:
        lines.append(f"  latency       {one.c_ms:.3g} ms of the C, median on this machine")
    if one.latency_ms is not None:
        lines.append(f"                {one.latency_ms:.3g} ms in onnxruntime, one thread, batch 1, median")
    lines.append(
        f"  answers       {one.equal} of {one.samples} {samples} as they should be, {one.answers_equal} as PyTorch's"
    )
    judged = [board] if board else [each for each in boards() if TARGETS[each.core] == one.target]
    return [*lines, *(f"  {verdict_line(one, each)}" for each in judged if each.target == one.target)]


def verdict_line(measurement: Measurement, board: Board) -> str:
    """Whether a student fits a board, and about how long a sample lasts there."""
    verdict = board.verdict(flash_bytes=measurement.image_flash, ram_bytes=measurement.all_ram)
    assert measurement.instructions is not None
    lasts = f"about {number(float(f'{board.milliseconds(measurement.instructions):.3g}'))} ms"
    return f"{board.name:13} {verdict}, {lasts} at {board.clock} MHz and {CYCLES:g} cycles an instruction"
