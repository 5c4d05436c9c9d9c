"""Finished rungs: how they are kept, found again and gone on from."""

from kd.distil.train import RungResult
from kd.files import write_whole
from studies.ledger import Rung, Training
from studies.store import Store


def finished_rung(store: Store, training: Training, epochs: float) -> Rung | None:
    """The rung that ended after `epochs`, if the ledger has it, from this study or another."""
    return next((rung for rung in store.ledger.rungs(training) if rung.epochs == epochs), None)


def record_rung(store: Store, training: Training, epochs: float, result: RungResult) -> Rung:
    """Keep a finished rung: first its state as a file, then its row in the ledger."""
    path = store.directory.checkpoint(training.name, epochs)
    write_whole(path, result.checkpoint)
    rung = Rung(epochs=epochs, curve=result.curve, seconds=result.seconds, checkpoint=str(path.resolve()))
    store.ledger.record_rung(training, rung)
    return rung


def state_at(store: Store, training: Training, epochs: float) -> bytes | None:
    """Training state that a finished rung left, None without its row or its file."""
    path = store.directory.checkpoint(training.name, epochs)
    known = finished_rung(store, training, epochs) is not None and path.is_file()
    return path.read_bytes() if known else None


def state_before(store: Store, training: Training, epochs: float) -> tuple[float, bytes | None]:
    """Epochs and training state of the longest finished rung shorter than `epochs`; (0, None) to start afresh."""
    for rung in reversed(store.ledger.rungs(training)):
        if rung.epochs < epochs and (state := state_at(store, training, rung.epochs)):
            return rung.epochs, state
    return 0, None
