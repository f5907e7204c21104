"""A pool of processes that leave signals to their parent and do not outlive it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Make a pool of fresh processes on this machine.

    They are started anew, not forked, since a copy of a process with threads may hang. Ctrl-C is
    left to this process, and when it ends, so do they.

    Parameters
    ----------
    workers : int
        How many.

    Examples
    --------
    ``Workers(partial(process_pool, 4))`` makes another pool when a worker dies.
    """
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    )


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all of them
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
