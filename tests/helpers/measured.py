"""What tests need of a measurement that was made."""

from kd.measure.measurement import Measurement

MEASURED = Measurement(
    target="cortex-m4",
    form="int8",
    optimisation="-Os",
    compiler="gcc",
    emulator="QEMU",
    flash=2_000,
    ram=500,
    image_flash=2_345,
    image_ram=1_300,
    stack=34,
    instructions=123_456,
    c_ms=None,
    latency_ms=None,
    samples=100,
    equal=100,
    answers_equal=99,
    data="",
)
"""Of a small student in int8 on a Cortex-M4."""
