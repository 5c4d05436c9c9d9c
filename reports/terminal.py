"""The terminal: text is printed as it is, and nothing in a path or a name is taken for markup."""

from rich.console import Console


def terminal(quiet: bool = False) -> Console:
    """A console on standard output, or a `quiet` one."""
    return Console(quiet=quiet, markup=False, emoji=False, highlight=False)
