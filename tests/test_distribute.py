"""Work handed to workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numba
import pytest

from skadetect.distribute import Pool, can_share_kernels, map_tasks, threads_per_worker, worker_number
from skadetect.errors import ConfigError, InputError, SkadetectError

KINDS = [(1, "threads"), (2, "processes"), (2, "threads")]


def square(item: int, shared: dict[str, int]) -> int:
    """A task."""
    return shared["offset"] + item * item


def fail_on_three(item: int, _: None) -> int:
    """A task that refuses one item."""
    if item == 3:
        raise InputError("item 3 is bad")
    return item


def die_once(item: int, folder: str) -> int:
    """A task whose worker is killed the first time it runs."""
    mark = Path(folder) / "died"
    if item == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.parametrize(("workers", "scheduler"), KINDS)
def test_every_item_once_with_its_own_result(workers: int, scheduler: str) -> None:
    found = dict(map_tasks(square, range(20), {"offset": 7}, workers=workers, scheduler=scheduler))
    assert found == {index: 7 + index * index for index in range(20)}


def meet(item: int, barrier: threading.Barrier) -> int:
    """A task that waits for another under way."""
    barrier.wait(timeout=30)
    return item


def fail_at_once(item: int, mark: Path) -> int:
    """A task that fails as soon as another has ended."""
    while item == 0 and not mark.exists():
        time.sleep(0.01)
    if item == 0:
        raise InputError("item 0 is bad")
    if item == 1:
        mark.touch()
    return item


def test_what_ended_before_an_error_is_handed_on(tmp_path: Path) -> None:
    found = map_tasks(fail_at_once, range(8), tmp_path / "mark", workers=2)
    assert next(found) == (1, 1)
    with pytest.raises(InputError, match="item 0 is bad"):
        list(found)


def test_tasks_overlap_in_one_process() -> None:
    found = list(map_tasks(meet, range(6), threading.Barrier(2), overlap=2))
    assert sorted(found) == [(index, index) for index in range(6)]
    with pytest.raises(InputError, match="item 3 is bad"):
        list(map_tasks(fail_on_three, range(50), None, overlap=3))


def number(item: int, _: None) -> int:
    """The number of the process that works on an item."""
    time.sleep(0.05)
    return worker_number()


def test_workers_have_numbers() -> None:
    assert worker_number() == 0
    tasks = map_tasks(number, range(12), None, workers=2, scheduler="processes")
    assert {result for _, result in tasks} <= {0, 1}


@pytest.mark.parametrize(("workers", "scheduler"), KINDS)
def test_an_error_of_a_task_comes_through(workers: int, scheduler: str) -> None:
    with pytest.raises(InputError, match="item 3 is bad"):
        list(map_tasks(fail_on_three, range(6), None, workers=workers, scheduler=scheduler))


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    found = map_tasks(die_once, range(4), str(tmp_path), workers=2, scheduler="processes")
    assert sorted(found) == [(i, i) for i in range(4)]


def always_die(item: int, _: None) -> int:
    """A task that no worker survives."""
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_workers_that_keep_dying_end_the_run() -> None:
    with pytest.raises(SkadetectError, match="a worker died"):
        list(map_tasks(always_die, range(2), None, workers=2, scheduler="processes"))


def process_of(item: int, _: None) -> int:
    """The process that works on an item."""
    time.sleep(0.02)
    return os.getpid()


def test_rounds_of_tasks_share_workers_that_end_with_the_pool() -> None:
    with Pool(2, scheduler="processes") as pool:
        pool.start()
        found = {pid for _ in range(2) for _, pid in pool.map(process_of, range(10), None)}
        alone = [pid for _, pid in pool.map(process_of, [1], None)]
    assert len(found) == 2
    assert alone == [os.getpid()]
    for pid in found:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_a_pool_that_was_started_for_nothing_ends(scheduler: str) -> None:
    with Pool(2, scheduler=scheduler) as pool:
        pool.start()


def test_nonsense_is_named() -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        list(map_tasks(square, range(3), {}, workers=0))
    with pytest.raises(ConfigError, match="unknown scheduler 'gpu'"):
        list(map_tasks(square, range(3), {}, workers=2, scheduler="gpu"))
    assert threads_per_worker(10_000) == 1


def threads_here(_: int, __: None) -> int:
    """How many threads Numba has in this process."""
    return int(numba.config.NUMBA_NUM_THREADS)


def test_workers_share_the_cores_and_this_process_keeps_its_own() -> None:
    before = dict(os.environ)
    tasks = map_tasks(threads_here, range(2), None, workers=2, scheduler="processes")
    found = [result for _, result in tasks]
    assert found == [threads_per_worker(2)] * 2
    assert os.environ.get("NUMBA_NUM_THREADS") == before.get("NUMBA_NUM_THREADS")


def share(_: int, barrier: threading.Barrier) -> int:
    """How many threads the kernels of a task have."""
    barrier.wait(timeout=30)
    return int(numba.get_num_threads())


@pytest.mark.parametrize("workers", [2, 3])
def test_threads_share_the_cores_while_this_one_keeps_its_own(workers: int) -> None:
    cores, here = numba.config.NUMBA_NUM_THREADS, numba.get_num_threads()
    barrier = threading.Barrier(workers)
    found = [result for _, result in map_tasks(share, range(workers), barrier, workers=workers)]
    assert sum(found) == max(cores, workers)
    assert max(found) - min(found) <= 1
    assert numba.get_num_threads() == here


def test_a_round_may_have_more_threads_than_its_pool() -> None:
    with Pool() as pool:
        assert len(list(pool.map(meet, range(4), threading.Barrier(2), workers=2))) == 4


def test_threads_that_cannot_share_kernels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_share_kernels()
    monkeypatch.setattr(numba, "threading_layer", lambda: "workqueue")
    with pytest.raises(ConfigError, match="workers cannot be threads"):
        Pool(2)
    Pool(2, scheduler="processes")
