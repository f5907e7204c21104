"""Threads inside a call, many calls at once, the GIL, and Ctrl-C."""

from __future__ import annotations

import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tnm_core as tnm
from tests.support.arrays import make_array
from tests.support.interrupts import interrupt

METHODS = ["optimal", "two_approximation", "greedy"]


@pytest.mark.parametrize("distribution", ["normal", "ties", "sparse", "constant", "decades"])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8), (5, 16), (16, 32), (64, 128)])
def test_mask_and_certificate_do_not_depend_on_threads(n: int, m: int, distribution: str) -> None:
    array = make_array((2, 300, 390), "float32", distribution, seed=m)
    mask, proof = tnm.transposable_mask(array, n, m, threads=1, return_certificate=True)
    for threads in (2, 7, None):
        again, other = tnm.transposable_mask(array, n, m, threads=threads, return_certificate=True)
        np.testing.assert_array_equal(again, mask)
        for name in ("row_prices", "column_prices", "primal", "dual", "gap"):
            np.testing.assert_array_equal(getattr(other, name), getattr(proof, name), err_msg=name)


@pytest.mark.parametrize("method", ["two_approximation", "greedy"])
@pytest.mark.parametrize("complete", [True, False])
def test_fast_methods_do_not_depend_on_threads(method: str, complete: bool) -> None:
    array = make_array((300, 500), "int32", "ties")
    masks = [
        tnm.transposable_mask(array, 4, 8, method=method, complete=complete, threads=threads)
        for threads in (1, 2, 7)
    ]
    np.testing.assert_array_equal(masks[1], masks[0])
    np.testing.assert_array_equal(masks[2], masks[0])


def test_fewer_tiles_than_threads() -> None:
    array = make_array((5, 5))
    np.testing.assert_array_equal(
        tnm.transposable_mask(array, 2, 4, threads=1), tnm.transposable_mask(array, 2, 4, threads=7)
    )


def test_many_calls_at_once() -> None:
    """Each call works on its own state, however many run."""
    jobs = [
        (make_array((97 + 8 * k, 130), "float32", distribution, seed=k), n, m, threads)
        for k, (n, m) in enumerate([(2, 4), (4, 8), (8, 16), (7, 13), (20, 64)])
        for distribution in ("normal", "ties", "sparse")
        for threads in (1, 2)
    ]

    def solve(job: tuple[np.ndarray, int, int, int]) -> tuple[np.ndarray, ...]:
        array, n, m, threads = job
        mask, proof = tnm.transposable_mask(array, n, m, threads=threads, return_certificate=True)
        fast = tnm.transposable_mask(array, n, m, method="greedy", threads=threads)
        row_wise = tnm.nm_mask(array, n, m, threads=threads)
        return mask, proof.row_prices, proof.column_prices, fast, row_wise

    alone = [solve(job) for job in jobs]
    with ThreadPoolExecutor(max_workers=12) as pool:
        together = list(pool.map(solve, jobs * 3))
    for result, expected in zip(together, alone * 3, strict=True):
        for got, wanted in zip(result, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_errors_of_many_calls_at_once() -> None:
    """A call that fails does not disturb its neighbours."""
    good = make_array((64, 64))
    bad = good.copy()
    bad[17, 33] = np.nan
    expected = tnm.transposable_mask(good, 4, 8)

    def attempt(number: int) -> np.ndarray | str:
        try:
            return tnm.transposable_mask(bad if number % 2 else good, 4, 8, threads=2)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(max_workers=8) as pool:
        for number, result in enumerate(pool.map(attempt, range(64))):
            if number % 2:
                assert isinstance(result, str)
                assert "17, 33" in result
            else:
                np.testing.assert_array_equal(result, expected)


def _turns_of_another_thread(array: np.ndarray, threads: int) -> int:
    """How often this thread gets a turn while another one is inside a single call."""
    entering, left = threading.Event(), threading.Event()

    def call() -> None:
        entering.set()
        tnm.transposable_mask(array, 16, 32, threads=threads)
        left.set()

    worker = threading.Thread(target=call)
    worker.start()
    entering.wait()
    turns = 0
    while not left.is_set():
        # Gives the GIL away; it comes back only if the call does not hold it.
        time.sleep(0.0005)
        turns += 1
    worker.join()
    return turns


@pytest.mark.parametrize("threads", [1, 2])
def test_gil_is_released(threads: int) -> None:
    """Other Python threads run during a call.

    Threads are told not to hand the GIL over on their own accord, so a call that kept it would
    leave this thread one or two turns, however long it took.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    try:
        turns, side = 0, 512
        while turns < 20 and side <= 8192:
            array = make_array((1, side), "float32")
            turns = _turns_of_another_thread(np.broadcast_to(array, (side, side)), threads)
            side *= 2
    finally:
        sys.setswitchinterval(interval)
    assert turns >= 20


INTERRUPTED_CALL = """
    import sys
    import numpy as np
    import tnm_core as tnm

    # Only pages that are written take memory: solving it all would take very long.
    matrix = np.random.default_rng(0).standard_t(3, (1024, 1024)).astype(np.float32)
    out = np.zeros((3000, 1024, 1024), dtype=bool)
    array = np.broadcast_to(matrix, out.shape)
    {warm_up}
    print("started", flush=True)
    try:
        {call}
    except KeyboardInterrupt:
        print("interrupted", "late" if out[-1].any() else "early", flush=True)
        # The library still works afterwards.
        print(tnm.is_transposable(tnm.transposable_mask(matrix, 2, 4), 2, 4), flush=True)
        sys.exit(3)
    print("finished", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent differently on Windows")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", ["optimal", "greedy"])
def test_ctrl_c(method: str, threads: int) -> None:
    """KeyboardInterrupt arrives in the middle of a call that would otherwise run for minutes."""
    script = textwrap.dedent(INTERRUPTED_CALL).format(
        warm_up=f"tnm.transposable_mask(matrix[:64, :64], 32, 64, method={method!r})",
        call=f"tnm.transposable_mask(array, 32, 64, out=out, method={method!r}, threads={threads})",
    )
    output, errors, returncode = interrupt(script, timeout=60)
    assert output.splitlines() == ["interrupted early", "True"], errors
    assert returncode == 3
