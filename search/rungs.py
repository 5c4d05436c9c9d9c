"""Rungs: how they are kept, found again and gone on from."""

from collections.abc import Sequence
from dataclasses import dataclass

from kd.distil.train import RungResult
from studies.storage.ledger import Rung, Training
from studies.storage.rung_file import read_state, write_rung
from studies.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What a training run trains next: from epoch `start`, with the training state there (None: from 0), to `stop`."""

    start: float
    stop: float
    state: bytes | None


def rung_at(rungs: Sequence[Rung], epochs: float) -> Rung | None:
    """The rung to `epochs`, finished or failed, if it is among those of a training run."""
    return next((rung for rung in rungs if rung.epochs == epochs), None)


def record_rung(store: Store, training: Training, epochs: float, result: RungResult, ended: float) -> Rung:
    """Keep a rung to `epochs` that `ended` then: the state of a finished one as a file, then its row in the ledger."""
    rung = Rung(epochs=epochs, curve=result.curve, seconds=result.seconds, failure=result.failure, ended=ended)
    write_rung(store.directory, training, rung, result.checkpoint)
    store.ledger.record_rung(training, rung)
    return rung


def state_at(store: Store, training: Training, rungs: Sequence[Rung], epochs: float) -> bytes | None:
    """Training state that a finished rung left, None without that rung, and where its file is lost or damaged."""
    rung = rung_at(rungs, epochs)
    return read_state(store.directory, training, epochs) if rung is not None and rung.failure is None else None


def next_stretch(store: Store, training: Training, rungs: Sequence[Rung], stop: float) -> Stretch:
    """The next stretch on the way to `stop`: from the longest finished one of a training run's rungs that has a state.

    It ends at the next finished rung, if there is one, whose file then has been lost. The same inputs give the same
    state again, so that the rung itself stays on record as it was and no part of a learning curve is there twice.
    """
    finished = [r.epochs for r in rungs if r.failure is None and r.epochs <= stop]
    for index in reversed(range(len(finished))):
        if finished[index] < stop and (state := state_at(store, training, rungs, finished[index])) is not None:
            return Stretch(start=finished[index], stop=min([*finished[index + 1 :], stop]), state=state)
    return Stretch(start=0, stop=min([*finished, stop]), state=None)
