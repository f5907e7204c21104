"""Products of every instruction set that the machine has, forced one after another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tnm_core as tnm

ROOT = Path(__file__).resolve().parents[2]
BUILT = tnm.build_info()["instruction_sets"]
assert isinstance(BUILT, list)

# Every tail of every dtype, activations, new values; prints the instruction set in use.
SWEEP = """
import numpy as np
import tnm_core as tnm
from dataclasses import replace
from tests.support.arrays import make_array
from tests.support.products.cases import (
    DTYPES, MASKS, ProductCase, check_product, pack_any, tail_cases)
from tests.support.products.references import ACTIVATIONS

for dtype in DTYPES:
    for case in tail_cases(dtype):
        check_product(case)
    for tokens in range(1, 20):
        case = ProductCase(75, 135, (tokens,), dtype, MASKS[tokens % len(MASKS)])
        check_product(replace(case, out_layout="sliced", x_layout="negative_steps"))
        for activation in ACTIVATIONS:
            check_product(replace(case, activation=activation, bias="float32"))
        weights, mask = case.matrix()
        packed = pack_any(weights, mask)
        new = make_array(weights.shape, dtype, seed=tokens)
        packed.update_(new)
        assert packed.toarray().tobytes() == pack_any(new, mask).toarray().tobytes()
        x = case.activations()
        x[:, ~mask.any(axis=0)] = np.nan
        assert (x @ packed.T).tobytes() == tnm.matmul(x, packed.T, threads=3).tobytes()
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
