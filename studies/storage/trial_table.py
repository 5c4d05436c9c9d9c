"""Trials as rows of Optuna's tables: each is written in two transactions, all are read in bulk.

Optuna's own storage takes a transaction and several queries for every parameter and attribute: 54 ms for one
suggestion, and 4 ms to read it back. These rows are the same, which a test holds: Optuna and its dashboard read them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.distributions import CategoricalDistribution as OptunaCategorical
from optuna.distributions import FloatDistribution as OptunaFloat
from optuna.distributions import IntDistribution as OptunaInt
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from space.sampling.distributions import CategoricalDistribution, Distribution, IntDistribution

State = Literal["RUNNING", "COMPLETE", "PRUNED", "FAIL"]

_TABLES = MetaData()
_TRIALS = Table(
    "trials",
    _TABLES,
    Column("trial_id", Integer, primary_key=True),
    Column("number", Integer),
    Column("study_id", Integer),
    Column("state", String),
    Column("datetime_start", DateTime),
    Column("datetime_complete", DateTime),
)
_PARAMS = Table(
    "trial_params",
    _TABLES,
    Column("param_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("param_name", String),
    Column("param_value", Float(53)),
    Column("distribution_json", Text),
)
_VALUES = Table(
    "trial_values",
    _TABLES,
    Column("trial_value_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("objective", Integer),
    Column("value", Float(53)),
    Column("value_type", String),
)
_ATTRIBUTES, _SYSTEM = (
    Table(
        f"trial_{kind}_attributes",
        _TABLES,
        Column(f"trial_{kind}_attribute_id", Integer, primary_key=True),
        Column("trial_id", Integer),
        Column("key", String),
        Column("value_json", Text),
    )
    for kind in ("user", "system")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A trial: its identifier in the database, its number, its parameters in the order of the draw, its attributes."""

    id: int
    number: int
    params: Mapping[str, Any]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What becomes known of a trial at once: its state, attributes, constraints (at most 0: met), and values.

    The `attributes` are columns of the dashboard, those that are `hidden` are not.
    """

    state: State
    attributes: Mapping[str, Any]
    constraints: Mapping[str, float]
    values: Sequence[float] = ()
    hidden: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTable:
    """The trials of one study (its identifier) in a database."""

    engine: Engine
    study: int

    def add(
        self, number: int, params: Mapping[str, Any], distributions: Mapping[str, Distribution], facts: Facts
    ) -> int:
        """Write a new trial in one transaction; returns its identifier."""
        known = {name: optuna_distribution(distributions[name]) for name in params}
        rows = [
            {
                "param_name": name,
                "param_value": known[name].to_internal_repr(value),
                "distribution_json": _json(distributions[name]),
            }
            for name, value in params.items()
        ]
        with self.engine.begin() as connection:
            begun = insert(_TRIALS).values(number=number, study_id=self.study, datetime_start=datetime.now())
            key = connection.execute(begun.values(state="RUNNING")).inserted_primary_key
            assert key is not None
            trial = int(key[0])
            connection.execute(insert(_PARAMS), [{"trial_id": trial, **row} for row in rows])
            _write(connection, trial, facts)
        return trial

    def conclude(self, trial: int, facts: Facts) -> None:
        """Write what became of a running trial (its identifier), in one transaction."""
        with self.engine.begin() as connection:
            _write(connection, trial, facts)

    def annotate(self, attributes: Mapping[int, Mapping[str, Any]]) -> None:
        """Set columns of the dashboard, by the trials' identifiers, also of trials that have ended."""
        with self.engine.begin() as connection:
            for trial, columns in attributes.items():
                old = _ATTRIBUTES.c.trial_id == trial, _ATTRIBUTES.c.key.in_(columns)
                connection.execute(delete(_ATTRIBUTES).where(*old))
                _write_attributes(connection, _ATTRIBUTES, trial, columns)

    def rows(self) -> list[TrialRow]:
        """All trials, by number."""
        mine = select(_TRIALS.c.trial_id).where(_TRIALS.c.study_id == self.study)
        attributes: dict[int, dict[str, Any]] = {}
        params: dict[int, dict[str, Any]] = {}
        with self.engine.connect() as connection:
            # first, so that all is there of a trial that the driver writes meanwhile
            trials = select(_TRIALS.c.trial_id, _TRIALS.c.number).where(_TRIALS.c.study_id == self.study)
            numbers = connection.execute(trials.order_by(_TRIALS.c.number)).all()
            for table in (_ATTRIBUTES, _SYSTEM):
                found = select(table.c.trial_id, table.c.key, table.c.value_json).where(table.c.trial_id.in_(mine))
                for trial, key, value in connection.execute(found.where(table.c.key.not_like("constraints:%"))):
                    attributes.setdefault(trial, {})[key] = json.loads(value)
            drawn = select(
                *(_PARAMS.c[name] for name in ("trial_id", "param_name", "param_value", "distribution_json"))
            )
            for trial, name, value, text in connection.execute(
                drawn.where(_PARAMS.c.trial_id.in_(mine)).order_by(_PARAMS.c.param_id)
            ):
                params.setdefault(trial, {})[name] = _distribution(text).to_external_repr(value)
        return [
            TrialRow(id=trial, number=number, params=params.get(trial, {}), attributes=attributes.get(trial, {}))
            for trial, number in numbers
        ]

    def ids(self) -> dict[int, int]:
        """Identifiers in the database, by trial number."""
        found = select(_TRIALS.c.number, _TRIALS.c.trial_id).where(_TRIALS.c.study_id == self.study)
        with self.engine.connect() as connection:
            return {number: trial for number, trial in connection.execute(found)}

    def first_params(self, digest: str) -> dict[str, Any]:
        """Parameters of the first trial with a digest; none if there is no such trial."""
        first = (
            select(func.min(_TRIALS.c.trial_id))
            .join(_SYSTEM, _SYSTEM.c.trial_id == _TRIALS.c.trial_id)
            .where(_TRIALS.c.study_id == self.study)
            .where(_SYSTEM.c.key == "digest", _SYSTEM.c.value_json == json.dumps(digest))
        )
        drawn = select(_PARAMS.c.param_name, _PARAMS.c.param_value, _PARAMS.c.distribution_json)
        with self.engine.connect() as connection:
            rows = connection.execute(
                drawn.where(_PARAMS.c.trial_id == first.scalar_subquery()).order_by(_PARAMS.c.param_id)
            )
            return {name: _distribution(text).to_external_repr(value) for name, value, text in rows}


def _write(connection: Connection, trial: int, facts: Facts) -> None:
    system = {f"constraints:{name}": value for name, value in facts.constraints.items()} | dict(facts.hidden)
    _write_attributes(connection, _ATTRIBUTES, trial, facts.attributes)
    _write_attributes(connection, _SYSTEM, trial, system)
    values = [
        {"trial_id": trial, "objective": objective, "value": float(value), "value_type": "FINITE"}
        for objective, value in enumerate(facts.values)
    ]
    if values:
        connection.execute(insert(_VALUES), values)
    if facts.state != "RUNNING":
        ended = update(_TRIALS).where(_TRIALS.c.trial_id == trial)
        connection.execute(ended.values(state=facts.state, datetime_complete=datetime.now()))


def _write_attributes(connection: Connection, table: Table, trial: int, pairs: Mapping[str, Any]) -> None:
    rows = [{"trial_id": trial, "key": key, "value_json": json.dumps(value)} for key, value in pairs.items()]
    if rows:
        connection.execute(insert(table), rows)


@lru_cache(maxsize=10_000)  # draws ask the same few hundred things
def optuna_distribution(distribution: Distribution) -> BaseDistribution:
    """A distribution as Optuna has it."""
    if isinstance(distribution, CategoricalDistribution):
        return OptunaCategorical(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return OptunaInt(distribution.low, distribution.high)
    return OptunaFloat(distribution.low, distribution.high, log=distribution.log)


@lru_cache(maxsize=10_000)
def _json(distribution: Distribution) -> str:
    return distribution_to_json(optuna_distribution(distribution))


@lru_cache(maxsize=10_000)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
