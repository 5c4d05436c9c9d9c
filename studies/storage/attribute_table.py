"""System attributes of a study as rows of Optuna's table: many are written in one transaction.

Optuna's own storage takes a transaction an attribute. These rows are the same, which a test holds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, delete, insert, select

_ATTRIBUTES = Table(
    "study_system_attributes",
    MetaData(),
    Column("study_system_attribute_id", Integer, primary_key=True),
    Column("study_id", Integer),
    Column("key", String),
    Column("value_json", Text),
)
PART = 500
"""Keys of one statement: SQLite takes so many variables at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeTable:
    """The system attributes of one study (its identifier) in a database."""

    engine: Engine
    study: int

    def read(self) -> dict[str, Any]:
        """All of them."""
        found = select(_ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json).where(_ATTRIBUTES.c.study_id == self.study)
        with self.engine.connect() as connection:
            return {key: json.loads(value) for key, value in connection.execute(found)}

    def write(self, values: Mapping[str, Any]) -> None:
        """Set some of them, in place of what they were."""
        rows = [{"study_id": self.study, "key": key, "value_json": json.dumps(v)} for key, v in values.items()]
        if not rows:
            return
        keys, own = list(values), _ATTRIBUTES.c.study_id == self.study
        with self.engine.begin() as connection:
            for start in range(0, len(keys), PART):
                part = keys[start : start + PART]
                connection.execute(delete(_ATTRIBUTES).where(own, _ATTRIBUTES.c.key.in_(part)))
            connection.execute(insert(_ATTRIBUTES), rows)
