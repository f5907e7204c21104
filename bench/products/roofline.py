"""What the machine allows one thread: multiply-adds and reading memory."""

from __future__ import annotations

import ctypes
from time import perf_counter

import numpy as np

from bench import machine, native
from bench.context import Record
from bench.measure import time_call

ROUNDS = 2_000_000
READ_BYTES = 1 << 28


def measure_limits(instruction_set: str, seconds: float) -> Record:
    """Measure under the flags of an instruction set; `native.UnavailableError` if none fits."""
    has_pairs = instruction_set.startswith("avx512") and "avx512_bf16" in machine.flags()
    flags = [*native.flags_of(instruction_set), *(["-mavx512bf16"] if has_pairs else [])]
    library = native.load("products/roofline.cpp", "-ffp-contract=fast", *flags)
    limits: Record = {
        "instruction_set": instruction_set,
        "float32": _operations(library.float_operations, seconds),
        "read": _read(seconds),
    }
    if has_pairs:
        limits["bfloat16"] = _operations(library.bfloat16_operations, seconds)
    return limits


def _operations(call: ctypes._NamedFuncPointer, seconds: float) -> float:
    """Billions a second: the best of several runs."""
    call.restype = ctypes.c_double
    best, spent = 0.0, 0.0
    while spent < seconds or not best:
        sink = ctypes.c_float(1.0)
        started = perf_counter()
        count = call(ctypes.c_int64(ROUNDS), ctypes.byref(sink))
        elapsed = perf_counter() - started
        best, spent = max(best, count / elapsed / 1e9), spent + elapsed
    return best


def _read(seconds: float) -> float:
    """Gigabytes a second."""
    library = native.load("ceilings.cpp", "-march=native", *native.ANY_ORDER)
    library.abs_sum.restype = ctypes.c_double
    values = np.ones(READ_BYTES // 4, dtype=np.float32)
    pointer, count = ctypes.c_void_p(values.ctypes.data), ctypes.c_int64(values.size)
    return READ_BYTES / time_call(lambda: library.abs_sum(pointer, count), seconds).best / 1e9
