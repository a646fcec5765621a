"""Hand pieces of work to workers: the only module that knows Dask.

Tasks carry what opens the data, never the data; results name the work they belong to, whichever ends first.
"""

from __future__ import annotations

import itertools
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any, TypeVar

import numba

from skadetect.errors import ConfigError, SkadetectError

Item = TypeVar("Item")
Result = TypeVar("Result")

SCHEDULERS = ("threads", "processes")
#: Tasks a worker has at hand: one running, the others ready, so that none waits and few results pile up.
WINDOW = 3
#: A task whose worker died is tried again this often before the run is given up.
RETRIES = 2

logger = logging.getLogger(__name__)


class Pool:
    """Workers for several rounds of tasks: they start once, and may do so while this process has other work.

    A context manager; at its end the workers end.

    Parameters
    ----------
    workers : int
        They divide the cores among them; 1 has all of them for one task after the other.
    scheduler : {"threads", "processes"}
        What a worker is: a thread of this process, or a process, started by Dask.
    overlap : int
        Tasks that a worker has under way at a time: where most of a task waits for a GPU, others read or
        finish.

    Raises
    ------
    ConfigError
        If the number of workers or the scheduler makes no sense, or threads cannot share kernels here.
    """

    def __init__(self, workers: int = 1, *, scheduler: str = "threads", overlap: int = 1) -> None:
        if workers < 1:
            raise ConfigError(f"workers is {workers}, expected 1 or more")
        if scheduler not in SCHEDULERS:
            raise ConfigError(f"unknown scheduler {scheduler!r}, expected one of {', '.join(SCHEDULERS)}")
        if workers > 1 and scheduler == "threads" and not can_share_kernels():
            raise ConfigError(
                "workers cannot be threads: Numba has neither OpenMP nor TBB here; use processes"
            )
        self.workers, self.scheduler, self.overlap = workers, scheduler, overlap
        self._thread = ThreadPoolExecutor(1)
        self._cluster: Future[Any] | None = None
        self._client: Any = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.result().close()
        self._thread.shutdown()

    def start(self) -> None:
        """Begin to start worker processes, without waiting for them; nothing where there are none."""
        if self.scheduler == "processes" and self.workers > 1 and self._cluster is None:
            self._cluster = self._thread.submit(_start_cluster, self.workers, self.overlap)

    def map(
        self,
        function: Callable[[Item, Any], Result],
        items: Sequence[Item],
        shared: Any,
        *,
        workers: int | None = None,
    ) -> Iterator[tuple[int, Result]]:
        """Apply a function to every item, yielding (index, result) as they end; see `map_tasks`.

        Threads are as many as `workers`, if that is given, instead of the pool's.
        """
        if self.scheduler == "threads" or self.workers == 1 or len(items) < 2:
            count = max(1, min(workers or self.workers, len(items)))
            yield from _run_here(function, items, shared, count, self.overlap)
            return
        self.start()
        if self._client is None and self._cluster is not None:
            from distributed import Client

            self._client = Client(self._cluster.result(), set_as_default=False)
        run = partial(_limited, max(1, threads_per_worker(self.workers) // self.overlap), function)
        yield from _run(self._client, run, items, shared, self.workers * max(WINDOW, 2 * self.overlap))


def map_tasks(
    function: Callable[[Item, Any], Result],
    items: Sequence[Item],
    shared: Any,
    *,
    workers: int = 1,
    scheduler: str = "threads",
    overlap: int = 1,
) -> Iterator[tuple[int, Result]]:
    """Apply a function to every item by workers of their own, yielding (index, result) as they end.

    Parameters
    ----------
    function : callable
        Takes an item and `shared`; importable by name, so that workers find it.
    items : sequence
        One task each; small.
    shared : object
        What all tasks need, sent to every process once: a model, options, what opens an image.
    workers, scheduler, overlap
        See `Pool`.

    Raises
    ------
    ConfigError
        If the number of workers or the scheduler makes no sense.
    SkadetectError
        If workers keep dying; a task's own errors come through as they are.
    """
    with Pool(min(workers, max(1, len(items))), scheduler=scheduler, overlap=overlap) as pool:
        yield from pool.map(function, items, shared)


def threads_per_worker(workers: int) -> int:
    """Cores for each of `workers`, at least one."""
    return max(1, numba.config.NUMBA_NUM_THREADS // workers)


def can_share_kernels() -> bool:
    """Whether several threads may run parallel kernels; Numba's last resort, its own pool, cannot."""
    numba.get_num_threads()  # decides what Numba's threads are
    return numba.threading_layer() != "workqueue"


def worker_number() -> int:
    """Number of the worker process that this is, from 0; 0 too where there are no workers."""
    if "distributed.worker" not in sys.modules:
        return 0
    from distributed import get_worker

    try:
        return int(get_worker().name)
    except (TypeError, ValueError):
        return 0


def _run_here(
    function: Callable[[Item, Any], Result], items: Sequence[Item], shared: Any, workers: int, overlap: int
) -> Iterator[tuple[int, Result]]:
    """All tasks in this process, some at a time."""
    count = min(workers * overlap, len(items))
    if count < 2:
        yield from ((index, function(item, shared)) for index, item in enumerate(items))
        return
    with ThreadPoolExecutor(count, initializer=_divider(workers)) as pool:
        waiting = iter(enumerate(items))
        running: dict[Future[Result], int] = {}
        try:
            while True:
                for index, item in islice(waiting, 2 * count - len(running)):
                    running[pool.submit(function, item, shared)] = index
                if not running:
                    break
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                # What was finished is handed on before the error of another task.
                for future in sorted(ended, key=lambda each: (each.exception() is not None, running[each])):
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _divider(workers: int) -> Callable[[], None]:
    """What each thread does first: take its share of the cores, as even as they can be."""
    cores, number = numba.config.NUMBA_NUM_THREADS, itertools.count()

    def divide() -> None:
        worker = next(number) % workers
        numba.set_num_threads(max(1, (worker + 1) * cores // workers - worker * cores // workers))

    return divide


def _run(
    client: Any, function: Callable[[Item, Any], Result], items: Sequence[Item], shared: Any, window: int
) -> Iterator[tuple[int, Result]]:
    from distributed import CancelledError, as_completed
    from distributed.scheduler import KilledWorker

    sent = client.scatter(shared, broadcast=True, hash=False)
    waiting = iter(enumerate(items))
    # The futures are the only hold on results: as each is yielded and dropped, its memory is freed.
    running = as_completed(loop=client.loop)
    index_of: dict[str, int] = {}

    def submit(pairs: Iterable[tuple[int, Item]]) -> None:
        for index, item in pairs:
            future = client.submit(function, item, sent, pure=False, retries=RETRIES)
            index_of[future.key] = index
            running.add(future)

    submit(pair for _, pair in zip(range(window), waiting, strict=False))
    try:
        for future in running:
            yield index_of.pop(future.key), future.result()
            future.release()
            submit(pair for _, pair in zip(range(1), waiting, strict=False))
    except (KilledWorker, CancelledError) as error:
        raise SkadetectError(
            f"a worker died {RETRIES + 1} times (out of memory?): lower --workers or --tile"
        ) from error


def _start_cluster(workers: int, overlap: int) -> Any:
    import dask
    from distributed import LocalCluster

    threads = threads_per_worker(workers)
    settings = {
        # Memory is planned before the run; Dask's own limits would pause or kill workers.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        # Set in the worker, not in this process, whose own Numba has its threads already.
        "distributed.nanny.environ": {"NUMBA_NUM_THREADS": str(threads)},
    }
    logger.info("starting %d worker processes of %d threads", workers, threads)
    with dask.config.set(settings), _interrupts_blocked():
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=overlap,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.ERROR,
        )


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """What starts here inherits a blocked Ctrl-C: this process alone takes it, and ends the others."""
    resource_tracker.ensure_running()  # it unblocks Ctrl-C when it starts by itself
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _limited(threads: int, function: Callable[[Item, Any], Result], item: Item, shared: Any) -> Result:
    """Run a task on its share of the cores."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        return function(item, shared)
    finally:
        numba.set_num_threads(before)
