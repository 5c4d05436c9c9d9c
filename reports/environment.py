"""The software and the machine that figures were made with."""

import platform
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Versions of a process, and the platform it ran on."""

    wunderkind: str
    python: str
    torch: str
    optuna: str
    platform: str

    @property
    def summary(self) -> str:
        """All of it in a line."""
        return (
            f"wunderkind {self.wunderkind}, Python {self.python}, torch {self.torch}, optuna {self.optuna}, "
            f"{self.platform}"
        )


def current_environment() -> Environment:
    """Return the environment of this process."""
    return Environment(
        wunderkind=version("wunderkind"),
        python=platform.python_version(),
        torch=version("torch"),
        optuna=version("optuna"),
        platform=platform.platform(),
    )
