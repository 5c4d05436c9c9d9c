"""The engine that runs tasks on Dask, from two local processes to a cluster."""

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import dask
from distributed import Client, Future, LocalCluster, wait
from distributed.client import ClosedClientError

from kd.device import cores
from space.errors import InputError

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
"""One thread, and memory that is kept between batches.

Dask's own default gives freed memory back to the system above 64 KiB: a quarter of a worker's time then went into page
faults (326,000 in 24 batches, with these settings 18,000) and training was 1.3 to 1.9 times slower.
"""


class DaskEngine:
    """An engine (`search.engine.engine`) on Dask.

    Without `scheduler`, one single-threaded worker process a core on loopback; with it, an existing Dask cluster,
    whose workers must see the same files. Dask restarts dead workers and runs their tasks again; a task that killed
    four workers comes back as an error.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        workers: int | None = None,
        resources: dict[str, float] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start local workers, with this `environment` too, or join a cluster.

        Raises:
            InputError: when the cluster does not answer.
        """
        self._resources = resources
        self._flying: dict[Future[Any], Hashable] = {}
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        dask.config.set(
            {
                "distributed.nanny.pre-spawn-environ": {**WORKER_ENVIRONMENT, **(environment or {})},
                "distributed.worker.preload": ["search.engine.worker"],
            }
        )
        if scheduler is None:
            self._cluster: LocalCluster | None = LocalCluster(
                n_workers=workers or cores(),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            self._client = Client(self._cluster)
            self._address: str = self._cluster.scheduler_address
        else:
            self._cluster, self._address = None, scheduler
            try:
                self._client = Client(scheduler, timeout=20)
            except (OSError, ValueError) as error:
                raise InputError(f"no Dask scheduler answers at {scheduler} ({error}): check the address") from error
            if resources:
                self._check_resources(scheduler, resources)

    def __enter__(self) -> Self:
        """Use as a context: workers end with it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop tasks in flight and close; whatever that ends in, the outcome of the context stands."""
        # a busy machine takes longer to close than the timeout; local workers end with this process all the same
        with suppress(Exception):
            for future in self._flying:
                future.cancel(force=True)
        with suppress(Exception):
            self._client.close(timeout=5)
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=5)

    def _check_resources(self, scheduler: str, wanted: dict[str, float]) -> None:
        workers = self._workers()
        if workers and not any(slots_of(1, worker["resources"], wanted) for worker in workers):
            self._client.close()
            asked = " ".join(f"{name}={amount:g}" for name, amount in wanted.items())
            raise InputError(f"no worker at {scheduler} offers {asked}: start workers with --resources '{asked}'")

    def _workers(self) -> list[dict[str, Any]]:
        return list(self._client.scheduler_info(n_workers=-1)["workers"].values())

    @property
    def slots(self) -> int:
        """How many tasks run at once, at least one: by the workers' threads, and the resources that a task needs."""
        with self._reachable():
            if not self._resources:
                return max(1, sum(int(threads) for threads in self._client.nthreads().values()))
            return max(1, sum(slots_of(w["nthreads"], w["resources"], self._resources) for w in self._workers()))

    @property
    def free(self) -> int:
        """How many more tasks would run at once."""
        return self.slots - len(self._flying)

    @property
    def tickets(self) -> list[Hashable]:
        """Tickets of the tasks in flight."""
        return list(self._flying.values())

    def submit(self, ticket: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Run `function(*arguments)` on a worker."""
        with self._reachable():
            future = self._client.submit(function, *arguments, pure=False, resources=self._resources)
        self._flying[future] = ticket

    def finished(self, seconds: float) -> list[tuple[Hashable, Any]]:
        """Tickets with results, or the exceptions tasks ended with; waits at most `seconds` for the first."""
        if not self._flying:
            return []
        with self._reachable():
            try:
                done = wait(list(self._flying), timeout=seconds, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                return []
            order = sorted(done, key=list(self._flying).index)
            return [(self._flying.pop(future), _result(future)) for future in order]

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Raise InputError when the scheduler is gone; tasks in flight are lost even if it comes back at once."""
        try:
            if self._client.status != "running":
                raise ConnectionError(self._client.status)
            yield
        except (OSError, CancelledError, ClosedClientError) as error:
            raise InputError(
                f"the Dask scheduler at {self._address} is gone: nothing is lost, start it again and go on with the "
                "same command"
            ) from error


def slots_of(threads: int, offered: Mapping[str, float], needed: Mapping[str, float]) -> int:
    """How many tasks a worker runs at once that need these amounts of its resources."""
    enough = (int(offered.get(name, 0) / amount + 1e-9) for name, amount in needed.items())
    return min([threads, *enough])


def _result(future: Future[Any]) -> Any:
    error = future.exception()
    return future.result() if error is None else error
