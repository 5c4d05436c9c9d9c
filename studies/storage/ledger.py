"""The ledger: what was trained, with what result. Also the cache that keeps anything from being trained twice."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import JSON, Engine, ForeignKey, UniqueConstraint, create_engine, event, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from kd.students.curve import Epoch
from kd.students.scores import Scores


class Base(DeclarativeBase):
    """Tables of the ledger; they lie beside Optuna's in one database."""

    type_annotation_map = {list[dict[str, Any]]: JSON}  # noqa: RUF012


class TrainingRow(Base):
    """One training run: an architecture, a recipe, its views, a seed."""

    __tablename__ = "wunderkind_training"
    __table_args__ = (UniqueConstraint("architecture", "recipe", "views", "seed"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    architecture: Mapped[str]
    recipe: Mapped[str]
    views: Mapped[str]
    seed: Mapped[int]
    rungs: Mapped[list["RungRow"]] = relationship(order_by="RungRow.epochs", cascade="all, delete-orphan")
    test: Mapped["TestRow | None"] = relationship(cascade="all, delete-orphan")


class RungRow(Base):
    """A part of a training run, which ended after `epochs`, or failed on the way there."""

    __tablename__ = "wunderkind_rung"
    __table_args__ = (UniqueConstraint("training", "epochs"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    training: Mapped[int] = mapped_column(ForeignKey("wunderkind_training.id"))
    epochs: Mapped[float]
    curve: Mapped[list[dict[str, Any]]]
    seconds: Mapped[float]
    ended: Mapped[float | None]
    failure: Mapped[str | None]


class TestRow(Base):
    """The one reading of the test split at the end of a retraining."""

    __tablename__ = "wunderkind_test"
    __test__ = False

    training: Mapped[int] = mapped_column(ForeignKey("wunderkind_training.id"), primary_key=True)
    accuracy: Mapped[float]
    scores: Mapped[list[dict[str, Any]]] = mapped_column(default=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The key of a training run: digests of architecture, recipe and views, and the seed."""

    architecture: str
    recipe: str
    views: str
    seed: int

    @property
    def name(self) -> str:
        """A file name for this training run."""
        return f"{self.architecture}-{self.recipe}-{self.views}-{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A rung that ended after `epochs`: its part of the learning curve, and the seconds it took.

    `failure` says why training failed on the way to `epochs`; the curve then ends before. It `ended` so many seconds
    after 1970, None where nobody looked at the clock.
    """

    epochs: float
    curve: tuple[Epoch, ...]
    seconds: float
    failure: str | None = None
    ended: float | None = field(default=None, compare=False)


class Ledger:
    """Reads and writes the ledger of a database URL."""

    def __init__(self, url: str) -> None:
        """Open the database and make missing tables."""
        self.engine = connect(url)
        Base.metadata.create_all(self.engine)

    def rungs(self, training: Training) -> list[Rung]:
        """Rungs of a training run, shortest first; only the last one may have failed."""
        with Session(self.engine) as session:
            row = _find(session, training)
            return [_rung(rung) for rung in row.rungs] if row else []

    def rungs_by_training(self, views: str, seed: int) -> dict[Training, list[Rung]]:
        """Rungs of all training runs on some views with a seed, as `rungs` gives them, read at once."""
        return by_training(self.results(views, seed))

    def results(self, views: str, seed: int) -> list[tuple[Training, Rung]]:
        """The same rungs in the order in which they were stored, each with its training run."""
        wanted = select(TrainingRow.architecture, TrainingRow.recipe, *RungRow.__table__.c).join(
            RungRow, RungRow.training == TrainingRow.id
        )
        found = []
        with self.engine.connect() as connection:
            for row in connection.execute(
                wanted.where(TrainingRow.views == views, TrainingRow.seed == seed).order_by(RungRow.id)
            ):
                training = Training(architecture=row.architecture, recipe=row.recipe, views=views, seed=seed)
                found.append((training, _rung(row)))
        return found

    def record_rung(self, training: Training, rung: Rung) -> None:
        """Store a rung; one stored before stays as it was."""
        runs, rungs = TrainingRow.__table__.c, RungRow.__table__.c
        with self.engine.begin() as connection:
            key = connection.scalar(select(runs.id).filter_by(**asdict(training)))
            if key is None:
                made = connection.execute(insert(TrainingRow).values(**asdict(training)))
                key = made.inserted_primary_key[0] if made.inserted_primary_key else None
            elif connection.scalar(select(rungs.id).where(rungs.training == key, rungs.epochs == rung.epochs)):
                return
            curve = [asdict(epoch) for epoch in rung.curve]
            row: dict[str, Any] = {"training": key, "epochs": rung.epochs, "seconds": rung.seconds, "ended": rung.ended}
            row["failure"] = rung.failure
            connection.execute(insert(RungRow).values(**row, curve=curve))

    def trained_epochs(self) -> float:
        """Epochs of all training runs together, failed rungs left out."""
        with Session(self.engine) as session:
            reached = select(func.max(RungRow.epochs).label("epochs")).where(RungRow.failure.is_(None))
            runs = reached.group_by(RungRow.training).subquery()
            return session.scalar(select(func.sum(runs.c.epochs))) or 0.0

    def test_accuracy(self, training: Training) -> float | None:
        """The test accuracy of a finished retraining, None before that."""
        with Session(self.engine) as session:
            row = _find(session, training)
            return row.test.accuracy if row and row.test else None

    def test_scores(self, training: Training) -> Scores | None:
        """All test scores of a finished retraining, None before that and where only the accuracy was measured."""
        with Session(self.engine) as session:
            row = _find(session, training)
            scores = row.test.scores if row and row.test else []
            return Scores(**{**scores[0], "recalls": tuple(scores[0]["recalls"])}) if scores else None

    def record_test(self, training: Training, accuracy: float, scores: Scores | None = None) -> None:
        """Store the one test reading of a retraining; a reading stored before stays as it was."""
        with self._training(training) as row:
            if row.test is None:
                row.test = TestRow(accuracy=accuracy, scores=[asdict(scores)] if scores else [])

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _training(self, training: Training) -> Iterator[TrainingRow]:
        with Session(self.engine) as session, session.begin():
            row = _find(session, training)
            if row is None:
                row = TrainingRow(**asdict(training))
                session.add(row)
            yield row


def by_training(results: Iterable[tuple[Training, Rung]]) -> dict[Training, list[Rung]]:
    """Rungs of each training run, shortest first."""
    found: dict[Training, list[Rung]] = {}
    for training, rung in results:
        found.setdefault(training, []).append(rung)
    return {training: sorted(rungs, key=lambda rung: rung.epochs) for training, rungs in found.items()}


def connect(url: str) -> Engine:
    """Engine for a database URL, prepared by `prepare_connections`."""
    return prepare_connections(create_engine(url))


def prepare_connections(engine: Engine) -> Engine:
    """Put SQLite into write-ahead mode, so readers never block the driver, and let it wait for other writers.

    It need not wait for the disk at every commit: a power cut may lose the last commits, never the database.
    """
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA busy_timeout=60000")
            connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def _find(session: Session, training: Training) -> TrainingRow | None:
    return session.scalars(select(TrainingRow).filter_by(**asdict(training))).one_or_none()


def _rung(row: Any) -> Rung:
    return Rung(
        epochs=row.epochs,
        curve=tuple(Epoch(**epoch) for epoch in row.curve),
        seconds=row.seconds,
        failure=row.failure,
        ended=row.ended,
    )
