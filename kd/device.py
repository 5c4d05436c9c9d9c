"""Where to compute."""

import os

import torch

from space.errors import InputError, first_line


def pick(name: str) -> str:
    """Device of a name: "auto" is the GPU where there is one; raises InputError for one that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device '{name}' cannot be used ({first_line(error)}): use auto, cpu or cuda") from error
    return name


def cores() -> int:
    """CPU cores that this process may use; all of the machine where the system does not tell (macOS, Windows)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
