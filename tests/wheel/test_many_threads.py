"""Many threads of Python at once, with the GIL and without it.

Threads start together in a process that has not called anything yet, so that first calls meet, too.
Without the GIL they meet everywhere; with it while it is released, which is most of each call.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core import _core

THREADS = 8
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def together(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """Call work(0), work(1), ... at the same moment; raises what one of them raised."""
    start = threading.Barrier(threads)
    results: list[Any] = [None] * threads
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
    return results


def weights_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal((96, 130)).astype(np.float32)


def everything(number: int) -> list[np.ndarray]:
    """Call what keeps something between calls, or might: tables, names, packed transposes."""
    n, m = [(2, 4), (4, 8), (8, 16), (3, 7)][number % 4]
    weights = weights_of(number // 2)
    mask, proof = tnm.transposable_mask(weights, n, m, return_certificate=True)
    packed = tnm.pack(weights, mask)
    return [
        mask,
        proof.row_prices,
        tnm.transposable_mask(weights, n, m, method="greedy", threads=2),
        tnm.nm_mask(weights, f"row {n}:{m}"),
        tnm.unrank_mask(tnm.rank_mask(mask[:m, :m], n, m), n, m),
        tnm.sample_masks(n, m, 3, rng=number),
        next(tnm.enumerate_masks(2, 6, start=number, as_array=True)),
        np.array([tnm.mask_diversity(n, m) % 2**62]),
        weights @ packed.T,
        mask.astype(np.float32).T @ packed,
        tnm.decompress(tnm.compress(weights, tnm.nm_mask(weights, n, m), n, m)),
        np.array([tnm.check_mask(mask, n, m).valid]),
        np.array([tnm.retained_score(weights, mask, threads=2).kept]),
    ]


FIRST_CALLS = """
import sys
from tests.wheel.test_many_threads import THREADS, everything, together
import numpy as np

found = together(everything)
for number in range(THREADS):
    for got, wanted in zip(found[number], everything(number), strict=True):
        np.testing.assert_array_equal(got, wanted)
print("same", getattr(sys, "_is_gil_enabled", lambda: True)())
"""


def test_first_calls_of_many_threads_meet() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, ["", *sys.path]))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FIRST_CALLS],
        capture_output=True, text=True, check=False, env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "same"


@pytest.mark.skipif(not FREE_THREADED, reason="this Python has the GIL for good")
def test_import_leaves_the_gil_off() -> None:
    code = "import sys, tnm_core; print(sys._is_gil_enabled())"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.stdout.strip() == "False", done.stderr


def test_one_packed_matrix_serves_many_threads() -> None:
    """The first product with the matrix itself packs it a second time, for all of them."""
    weights, rows, columns = weights_of(0), weights_of(1)[:32, :96], weights_of(2)[:32]
    mask = tnm.transposable_mask(weights, 2, 4)
    alone = tnm.pack(weights, mask)
    expected = (rows @ alone, columns @ alone.T)
    for _ in range(10):
        packed = tnm.pack(weights, mask)

        def multiply(number: int, packed: tnm.PackedMatrix = packed) -> np.ndarray:
            return columns @ packed.T if number % 2 else rows @ packed

        for number, product in enumerate(together(multiply)):
            np.testing.assert_array_equal(product, expected[number % 2])


def test_threads_take_turns_at_an_enumerator() -> None:
    """Each code comes once, whoever gets it; `next` runs without the GIL."""
    length, turns = 40_000, 6
    total = THREADS * turns * length
    (expected,) = tnm.enumerate_masks(4, 8, stop=total, as_array=True, chunk=total)
    for _ in range(3):
        enumerator = _core.MaskEnumerator(4, 8)

        def take(_: int, enumerator: _core.MaskEnumerator = enumerator) -> np.ndarray:
            codes = np.empty((turns, length), dtype=np.uint64)
            assert [enumerator.next(row) for row in codes] == [length] * turns
            return codes

        codes = np.sort(np.concatenate(together(take)), axis=None)
        np.testing.assert_array_equal(codes, expected)


def test_threads_take_turns_at_a_counter() -> None:
    """A pass that one thread starts anew stays while others add its slices."""
    counter = _core.RegularCounter(12, 12, 6, 6)
    counter.start_pass(0)
    expected = counter.add_slices(0, counter.slices, [0] * 8, 1)

    def work(number: int) -> list[list[int]]:
        if number % 2:
            return [counter.start_pass(0) or expected for _ in range(100)]
        return [counter.add_slices(0, counter.slices, [0] * 8, 1) for _ in range(100)]

    assert all(sums == expected for found in together(work) for sums in found)
