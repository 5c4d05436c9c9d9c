"""The one exception for what a user got wrong."""


class InputError(ValueError):
    """What a user gave cannot be used; the message is one line: the rule, the value, the way out.

    The command line prints it without a traceback and exits with code 2.
    """
