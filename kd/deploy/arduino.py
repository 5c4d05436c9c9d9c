"""A student's C as an Arduino library: what the IDE installs as a folder or a .zip."""

from pathlib import Path
from string import Template

import numpy as np
import torch
from torch import Tensor

from kd.deploy.c_code import HEADER, SOURCE, CCode
from kd.deploy.c_source import rows

SKETCH = Path(__file__).with_name("sketch")
EXAMPLE = "Answer"


def arduino_library(code: CCode, sample: Tensor, answer: int, digest: str) -> dict[str, str]:
    """`library.properties`, the sources and an example, by their places in the library's folder.

    Args:
        code: the student's C, in float or in integers.
        sample: (…), one of a `kd.data.dataset.Split`'s, for the example.
        answer: what the student takes it for.
        digest: the student's.
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
    files = {f"src/{HEADER}": code.header, f"src/{SOURCE}": code.source}
    for name, place in (
        ("library.properties", "library.properties"),
        ("WunderkindStudent.h", "src/WunderkindStudent.h"),
        ("Answer.ino", f"examples/{EXAMPLE}/{EXAMPLE}.ino"),
    ):
        template = Template((SKETCH / name).read_text(encoding="utf-8"))
        files[place] = template.substitute(facts)
    return files
