"""Layouts, dtypes, orders of `out`, scores and values together: all find the mask of plain float64.

The C++ side of this is `cpp/fuzz/fuzz_layouts.cpp`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import tnm_core as tnm
from tests.support.arrays import DTYPES
from tests.support.strategies import surface_calls
from tests.support.surface import OUTPUTS, SurfaceCall

ROOT = Path(__file__).parents[1]
BUILT = tnm.build_info()["instruction_sets"]
assert isinstance(BUILT, list)


@settings(max_examples=150)
@given(surface_calls)
def test_any_call_finds_the_mask_of_plain_weights(call: SurfaceCall) -> None:
    call.mask()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("out", OUTPUTS)
def test_every_dtype_into_every_order(dtype: str, out: str | None) -> None:
    for m in (4, 8, 16, 64):
        for layout in ("c", "fortran"):
            SurfaceCall(
                (130, 136), (m // 2, m), dtype, "normal", layout, out, "abs", False, 1, m
            ).mask()


def _digest(instruction_set: str) -> tuple[str, str] | None:
    """Compare calls in a process of its own; None if this machine lacks the instruction set."""
    environment = {**os.environ, "TNM_FORCE_ISA": instruction_set}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    check = [sys.executable, "-c", "import tnm_core"]
    if subprocess.run(check, env=environment, capture_output=True, check=False).returncode:
        return None
    command = [sys.executable, "-m", "tests.support.surface", "80"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name, digest = done.stdout.split()
    return name, digest


def test_instruction_sets_agree() -> None:
    found = {name: _digest(name) for name in BUILT}
    ran = {name: digest for name, digest in found.items() if digest is not None}
    assert all(name == digest[0] for name, digest in ran.items())
    assert len({digest[1] for digest in ran.values()}) == 1


def test_a_call_that_finds_another_mask_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    call = SurfaceCall((8, 8), (2, 4), "float32", "normal", "fortran", None, "abs", False, 1, 0)
    find = tnm.transposable_mask
    monkeypatch.setattr(
        tnm,
        "transposable_mask",
        lambda w, *p, **o: (
            find(np.ascontiguousarray(w)[::-1], *p, **o)
            if w.dtype == np.float32
            else find(w, *p, **o)
        ),
    )
    with pytest.raises(AssertionError, match="fortran"):
        call.mask()
