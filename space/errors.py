"""The one exception for what a user got wrong."""

from collections.abc import Sequence


class InputError(ValueError):
    """What a user gave cannot be used; the message is one line: the rule, the value, the way out.

    The command line prints it without a traceback and exits with code 2.
    """


def first_line(error: object) -> str:
    """The first line of what an error says, at most 200 characters; its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def did_you_mean(alike: Sequence[str]) -> str:
    """A question for known words like an unknown one: "did you mean a, b or c? "; nothing where there is none."""
    *others, last = alike or [""]
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}? " if last else ""
