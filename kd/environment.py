"""What figures were measured with."""

import platform
from dataclasses import dataclass
from importlib import metadata

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Versions of wunderkind, PyTorch and Python, the machine, and where and on how many threads was trained."""

    wunderkind: str
    torch: str
    python: str
    platform: str
    device: str
    threads: int

    @property
    def summary(self) -> str:
        """All of it in a line."""
        versions = f"wunderkind {self.wunderkind}, torch {self.torch}, Python {self.python}"
        return f"{versions}, {self.platform}, {self.device}, {self.threads} thread" + "s" * (self.threads != 1)


def version() -> str:
    """Version of wunderkind as it is installed; "unknown" where it is not."""
    try:
        return metadata.version("wunderkind")
    except metadata.PackageNotFoundError:
        return "unknown"


def current(device: str, threads: int = 1) -> Environment:
    """This process's environment; a GPU by its name. Students train on one thread."""
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device
    return Environment(
        wunderkind=version(),
        torch=torch.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        device=name,
        threads=threads,
    )
