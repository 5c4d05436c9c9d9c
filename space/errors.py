"""The one exception for what a user got wrong."""


class InputError(ValueError):
    """What a user gave cannot be used; the message is one line: the rule, the value, the way out.

    The command line prints it without a traceback and exits with code 2.
    """


def first_line(error: object) -> str:
    """The first line of what an error says, at most 200 characters; its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
