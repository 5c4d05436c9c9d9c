"""The one exception for what a user got wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

RULES = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "finite_number": "must be a finite number",
    "missing": "is missing",
    "missing_argument": "is missing",
    "unexpected_keyword_argument": "is unknown",
    "value_error": "{error}",
    "json_invalid": "is not JSON: {error}",
    "union_tag_invalid": "has {discriminator} '{tag}', must have one of {expected_tags}",
    "union_tag_not_found": "lacks {discriminator}",
}
"""What pydantic's errors mean, by their types."""
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a section with keys of its own",
    "dataclass": "a section with keys of its own",
}
"""What pydantic's errors of a wrong type ask for, by how their types begin."""


class InputError(ValueError):
    """What a user gave cannot be used; the message is one line: the rule, the value, the way out.

    The command line prints it without a traceback and exits with code 2.
    """


def rule(error: Mapping[str, Any]) -> str:
    """What a value must be, in words for who typed it.

    >>> rule({"type": "int_parsing", "msg": "Input should be a valid integer, unable to parse"})
    'must be a whole number'

    Args:
        error: one of `pydantic.ValidationError.errors()`.
    """
    kind, message = error["type"], str(error["msg"])
    if kind in RULES:
        return RULES[kind].format(**error.get("ctx", {}))
    wanted = KINDS.get(kind.partition("_")[0])
    return f"must be {wanted}" if wanted else f"{message[0].lower()}{message[1:]}"


def first_line(error: object) -> str:
    """The first line of what an error says, at most 200 characters; its class if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def did_you_mean(alike: Sequence[str]) -> str:
    """A question for known words like an unknown one: "did you mean a, b or c? "; nothing where there is none."""
    *others, last = alike or [""]
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}? " if last else ""
