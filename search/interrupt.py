"""Ctrl-C and SIGTERM: an exception of our own, so that whatever is going on ends cleanly."""

import shlex
import signal
import sys


class Stopped(BaseException):
    """The user or the system asked to stop. Not KeyboardInterrupt, which typer turns into an exit of its own."""


def listen() -> None:
    """Raise `Stopped` in the main thread at the first signal; the second ends the process at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def command() -> str:
    """The command line that was typed."""
    return shlex.join(["wunderkind", *sys.argv[1:]])


def _stop(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Stopped
