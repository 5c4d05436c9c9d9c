"""Every key of a configuration, described: type, default, unit and meaning, all read from the dataclasses.

A field's meaning is the string below it, in the source; a unit stands in brackets at its end.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from studies.configuration.config import Config
from studies.configuration.file import flatten


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: `name` is dotted, as `--set` takes it; unit and meaning are "" where there is none."""

    name: str
    type: str
    default: object
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table of keys; `like` names the section that has the same keys and is described before, "" if there is none."""

    name: str
    meaning: str
    keys: tuple[Key, ...]
    like: str


def sections() -> list[Section]:
    """All sections with all their keys, in the order of the dataclasses."""
    classes = TypeAdapter(Config).json_schema()["$defs"] | {"Config": TypeAdapter(Config).json_schema()}
    return list(_sections(classes, "Config", "", "", flatten(asdict(Config())), {}))


def _sections(
    classes: Mapping[str, Any],
    kind: str,
    name: str,
    meaning: str,
    defaults: Mapping[str, object],
    described: dict[str, str],
) -> Iterator[Section]:
    """The section of one dataclass, and those in it; `described` keeps where each dataclass came first."""
    prefix = f"{name}." if name else ""
    fields: dict[str, Any] = classes[kind]["properties"]
    inner = {field: schema for field, schema in fields.items() if "$ref" in schema}
    keys = tuple(_key(f"{prefix}{field}", fields[field], defaults) for field in fields if field not in inner)
    if keys:
        yield Section(name=name, meaning=meaning, keys=keys, like=described.get(kind, ""))
        described.setdefault(kind, name)
    for field, schema in inner.items():
        target = str(schema["$ref"]).rpartition("/")[2]
        # pydantic leaves out what the dataclass says of itself
        text = " ".join((schema.get("description") or classes[target]["description"]).split("\n\n")[0].split())
        yield from _sections(classes, target, f"{prefix}{field}", text, defaults, described)


def _key(name: str, schema: Mapping[str, Any], defaults: Mapping[str, object]) -> Key:
    text = " ".join(schema.get("description", "").split())
    parts = re.fullmatch(r"(.*?)(?: \[([^]]+)\])?(\.?)", text)
    meaning, unit = (parts[1] + parts[3], parts[2] or "") if parts else (text, "")
    return Key(name=name, type=_type(schema), default=defaults[name], unit=unit, meaning=meaning)


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    match schema:
        case {"enum": [*others, last]}:
            return f"{', '.join(others)} or {last}"
        case {"anyOf": options}:
            return ", or ".join("left out" if option.get("type") == "null" else _type(option) for option in options)
        case {"type": "array", "prefixItems": items}:
            return f"[{', '.join(_type(item) for item in items)}]"
        case {"type": "array", "items": item}:
            return f"list of {_type(item)}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "string"}:
            return "text"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[bound]:,}" for bound, sign in signs.items() if bound in schema]
    return f"{schema['type']} {' and '.join(limits)}".strip()
