"""A student's C as an Arduino library: what the IDE installs as a folder or a .zip."""

from pathlib import Path
from string import Template

import numpy as np
import torch
from torch import Tensor

from kd.deploy.c_code import HEADER, SOURCE, CCode
from kd.deploy.c_source import rows
from kd.files import write_whole

SKETCH = Path(__file__).with_name("sketch")
EXAMPLE = "Answer"


def write_arduino_library(code: CCode, sample: Tensor, answer: int, digest: str, folder: Path) -> None:
    """Write `library.properties`, the sources and an example into a folder, which is made if it is not there.

    Args:
        code: the student's C, in float or in integers.
        sample: (…), one of a `kd.data.dataset.Split`'s, for the example.
        answer: what the student takes it for.
        digest: the student's.
        folder: the library's.
    """
    pixels = sample.dtype == torch.uint8
    facts = {
        "title": f"student {digest} of wunderkind",
        "digest": digest,
        "input_type": "uint8_t" if pixels else "float",
        "output_type": "int8_t" if "int8_t *logits" in code.header else "float",
        "sample": rows(np.asarray(sample.flatten())),
        "answer": answer,
    }
    for name, place in (
        ("library.properties", "library.properties"),
        ("WunderkindStudent.h", "src/WunderkindStudent.h"),
        ("Answer.ino", f"examples/{EXAMPLE}/{EXAMPLE}.ino"),
    ):
        template = Template((SKETCH / name).read_text(encoding="utf-8"))
        write_whole(folder / place, template.substitute(facts))
    write_whole(folder / "src" / HEADER, code.header)
    write_whole(folder / "src" / SOURCE, code.source)
