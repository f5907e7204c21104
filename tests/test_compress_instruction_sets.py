"""Compression and decompression by the kernels of every instruction set of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tnm_core as tnm

ROOT = Path(__file__).resolve().parents[1]
BUILT = tnm.build_info()["instruction_sets"]
assert isinstance(BUILT, list)

# Every size of elements, groups that keep n and fewer, both axes and orders of memory.
SWEEP = """
import numpy as np
import tnm_core as tnm

rng = np.random.default_rng(0)
for n, m in ((1, 1), (2, 4), (1, 4), (3, 5), (4, 8), (8, 16), (5, 31), (32, 64), (70, 100)):
    for dtype in (np.int8, np.float16, np.float32, np.float64, np.complex128):
        for shape in ((3, 9 * m), (130, 133), (65, 2 * m + 1), (2, 40, 70)):
            weights = rng.integers(1, 100, shape).astype(dtype)
            for axis in (-1, -2):
                scores = rng.random(shape)
                for share in (1.0, 0.7):
                    mask = tnm.nm_mask(scores, n, m, axis=axis) & (rng.random(shape) <= share)
                    for order in "CF":
                        given = np.array(weights, order=order)
                        packed = tnm.compress(given, mask, n, m, axis=axis)
                        lines = mask if axis == -1 else mask.swapaxes(-1, -2)
                        kept = (weights if axis == -1 else weights.swapaxes(-1, -2))[lines]
                        assert packed.values[packed.values != 0].tolist() == kept.tolist()
                        assert (tnm.decompress(packed) == weights * mask).all()
print(tnm.build_info()["instruction_set"])
"""


@pytest.mark.parametrize("name", BUILT)
def test_instruction_set(name: str) -> None:
    environment = {**os.environ, "TNM_FORCE_ISA": name}
    finished = subprocess.run(
        [sys.executable, "-c", SWEEP],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "expected one of those" in finished.stderr:
        pytest.skip(f"this machine lacks {name}")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == [name]
