"""Flash and RAM in closed form are those of binaries, within a tenth."""

import shutil

import pytest
from binaries import binary
from deployed import draws

from kd.measure.target import TARGETS
from space.architecture import Architecture
from space.board import TARGETS as CORES
from space.flash import CODE, flash_bytes, ram_bytes
from studies.shipped import find

SHIPPED = [find(name) for name in ("tied-depthwise-10k", "tied-depthwise-1k", "row-column", "liquid-cnn", "flat-cnn")]
DRAWN = list(draws(range(300, 301)))[::6]


@pytest.mark.parametrize("architecture", [*SHIPPED, *DRAWN], ids=lambda a: f"{a.family} {a.digest}")
def test_flash_and_ram_are_known_before_a_student_is_trained(architecture: Architecture) -> None:
    target = TARGETS["cortex-m4"]
    if shutil.which(target.compiler) is None:
        pytest.skip(f"needs {' '.join(target.packages)}")
    measured = binary(architecture, target)
    assert flash_bytes(architecture) == pytest.approx(measured["flash"], rel=0.15)
    assert ram_bytes(architecture) == pytest.approx(measured["ram"], rel=0.1, abs=8)


def test_there_are_figures_for_every_core_of_a_board() -> None:
    assert set(CORES.values()) == {name for name, target in TARGETS.items() if target.bare}
    for core in CORES.values():
        assert f"[{core}]" in CODE.read_text()
        assert flash_bytes(SHIPPED[0], core) > SHIPPED[0].cost().int8_bytes
