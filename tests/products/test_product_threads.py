"""Many calls at once, the GIL, and Ctrl-C."""

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
from tests.support.products.cases import ProductCase, make_mask, multiply, pack_any


def test_many_calls_at_once() -> None:
    """Each has its own scratch memory, and the matrices are only read."""
    cases = [
        ProductCase(97 + 40 * k, 130, (tokens,), dtype, mask, threads=threads, backward=k % 2 == 1)
        for k, (dtype, mask) in enumerate([("float32", "half"), ("bfloat16", "2:4")] * 2)
        for tokens in (1, 7, 60)
        for threads in (1, 3)
    ]
    jobs = [(case, pack_any(*case.matrix())) for case in cases]
    alone = [multiply(*job).tobytes() for job in jobs]
    # The other orientation is packed by whoever comes first.
    fresh = [(case, packed.copy()) for case, packed in jobs] * 4
    with ThreadPoolExecutor(max_workers=8) as pool:
        together = list(pool.map(lambda job: multiply(*job).tobytes(), fresh))
    assert together == alone * 4


def test_both_orientations_at_once() -> None:
    weights, mask = make_array((300, 500)), make_mask("half", (300, 500))
    y = make_array((9, 300), seed=1)
    expected = (y @ tnm.pack(weights, mask)).tobytes()
    for _ in range(10):
        packed = tnm.pack(weights, mask)
        with ThreadPoolExecutor(max_workers=4) as pool:
            together = list(pool.map(lambda _, one=packed: (y @ one).tobytes(), range(8)))
        assert together == [expected] * 8


def _turns_of_another_thread(x: np.ndarray, packed: tnm.PackedMatrix, threads: int) -> int:
    """How often this thread gets a turn while another one is inside a single call."""
    entering, left = threading.Event(), threading.Event()

    def call() -> None:
        entering.set()
        tnm.matmul(x, packed.T, threads=threads)
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
    """Threads hand the GIL over when they wait, and else never, during this test."""
    packed = tnm.pack(make_array((16, 4096)), make_mask("half", (16, 4096)))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    try:
        turns, tokens = 0, 1024
        while turns < 20 and tokens <= 2**20:
            x = np.broadcast_to(np.float32(1), (tokens, 4096))
            turns = _turns_of_another_thread(x, packed, threads)
            tokens *= 4
    finally:
        sys.setswitchinterval(interval)
    assert turns >= 20


INTERRUPTED_CALL = """
    import sys
    import numpy as np
    import tnm_core as tnm

    # Of the activations there is one number in memory: all tokens would take very long.
    weights = np.ones((16, 16384), dtype=np.float32)
    packed = tnm.pack(weights, np.arange(16384) % 2 == np.zeros((16, 1)))
    x = np.broadcast_to(np.float32(1), (10**7, 16384))
    out = np.zeros((len(x), 16), dtype=np.float32)
    print("started", flush=True)
    try:
        tnm.matmul(x, packed.T, out=out, threads={threads})
    except KeyboardInterrupt:
        print("interrupted", "late" if out[-1].any() else "early", flush=True)
        # The library still works afterwards.
        print((x[:2] @ packed.T)[1, 15], flush=True)
        sys.exit(3)
    print("finished", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent differently on Windows")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c(threads: int) -> None:
    """KeyboardInterrupt arrives in the middle of a product that would run for minutes."""
    script = textwrap.dedent(INTERRUPTED_CALL).format(threads=threads)
    output, errors, returncode = interrupt(script, timeout=60)
    assert output.splitlines() == ["interrupted early", "8192.0"], errors
    assert returncode == 3
