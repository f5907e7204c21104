"""Masks and products do not depend on the floating-point mode of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMPUTE = """
import numpy as np
import tnm_core as tnm

rng = np.random.default_rng(3)
arrays = [
    (rng.integers(-300, 300, (48, 96)).astype(np.int16) & np.int16(-31745)).view(np.float16),
    rng.integers(1, 2**23, (48, 96)).astype(np.int32).view(np.float32),
    rng.integers(1, 2**50, (48, 96)).view(np.float64),
    rng.integers(2**62, 2**62 + 9, (48, 96)),
    rng.standard_normal((48, 96)),
    (1 + rng.integers(0, 9, (48, 96)) * 2.0**-52).T,
]

def results():
    found = []
    for array in arrays:
        for n, m in ((2, 4), (5, 16), (24, 48)):
            found += [tnm.transposable_mask(array, n, m, threads=3)]
            found += [tnm.nm_mask(array, n, m), tnm.nm_mask(array, n, m, score="square")]
            mask, proof = tnm.transposable_mask(array, n, m, return_certificate=True)
            found += [mask, proof.row_prices, proof.gap]
            found += [tnm.transposable_mask(array, n, m, method="greedy")]
    packed = tnm.pack(arrays[0], tnm.nm_mask(arrays[0], 2, 4))
    tokens = rng_tokens.astype(np.float16)
    found += [tnm.matmul(tokens, packed.T), tnm.matmul(tokens[:3], packed.T)]
    return [value.tobytes() for value in found]

rng_tokens = rng.standard_normal((40, 96))
plain = results()
{switch}
assert results() == plain
{check}
"""
FLUSHED = "import torch\nassert torch.set_flush_denormal(True)"
STILL_FLUSHED = "assert (torch.full((8,), 1e-40) * 0.5).sum() == 0"
ROUNDED = """
import ctypes, ctypes.util, platform
upward = {"x86_64": 0x800, "aarch64": 0x400000}[platform.machine()]
library = ctypes.CDLL(ctypes.util.find_library("m"))
assert library.fesetround(upward) == 0
"""
STILL_ROUNDED = "assert library.fegetround() == upward"


@pytest.mark.parametrize(
    ("switch", "check"), [(FLUSHED, STILL_FLUSHED), (ROUNDED, STILL_ROUNDED)], ids=["flush", "up"]
)
def test_modes(switch: str, check: str) -> None:
    """Denormals flushed, sums rounded up: the same results; and the mode stays what it was."""
    program = COMPUTE.replace("{switch}", switch).replace("{check}", check)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
