"""What every local worker process does at its start (a Dask preload)."""

import signal

from distributed import Worker


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl-C, which a terminal sends to workers too, to the driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
