"""One source, several instruction sets: the forced one runs, and all find the same masks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import tnm_core as tnm

BUILT = tnm.build_info()["instruction_sets"]
assert isinstance(BUILT, list)

# Prints the instruction set in use and a digest of many masks, sums and prices.
DIGEST = """
import hashlib
import ml_dtypes
import numpy as np
import tnm_core as tnm

rng = np.random.default_rng(0)
digest = hashlib.sha256()
def arrays(m):
    shape = (2 * m + 1, 130 + m)
    yield rng.standard_normal(shape)
    yield rng.standard_t(2.5, shape)
    yield rng.integers(0, 8, shape).astype(np.float64)
    yield rng.standard_normal(shape) * (rng.random(shape) < 0.3)
    yield (rng.random(shape) < 0.5).astype(np.float64)
    yield np.ones(shape)
    yield 10.0 ** rng.uniform(-6, 6, shape)
    yield -rng.random(shape)
for m in (3, 4, 7, 8, 12, 16, 20, 32, 48, 64, 96):
    for n in sorted({1, m // 4 or 1, m // 2, m - 1}):
        for values in arrays(m):
            for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
                array = values.astype(np.float32).astype(dtype)
                if not np.isfinite(array.astype(np.float64)).all():
                    continue
                mask = tnm.transposable_mask(array, n, m, score="identity")
                rowwise = tnm.nm_mask(array, n, m)
                digest.update(mask.tobytes() + rowwise.tobytes())
                sums = tnm.retained_score(array, mask, score="square")
                digest.update(np.array([sums.kept, sums.total, sums.largest]).tobytes())
                for other in (array.T, array[::-1, ::-1], np.asfortranarray(array)):
                    digest.update(tnm.nm_mask(other, n, m, axis=0).tobytes())
            for whole in (np.int64, np.uint64):
                wide = np.asfortranarray((1e18 * np.clip(values, 0, 1)).astype(whole))
                sums = tnm.retained_score(wide, rowwise, score="square")
                digest.update(np.array([sums.kept, sums.total, sums.largest]).tobytes())
            for dtype in (np.int8, np.int16, np.int32, np.int64):
                whole = (100 * np.clip(values, -1, 1)).astype(dtype)
                for axis in (0, 1):
                    digest.update(tnm.nm_mask(whole, n, m, axis=axis, score="identity").tobytes())
            mask, proof = tnm.transposable_mask(values, n, m, return_certificate=True)
            assert proof.worst_gap <= 1e-9
            digest.update(mask.tobytes())
            for name in ("row_prices", "column_prices", "primal", "dual", "gap", "exponent"):
                digest.update(getattr(proof, name).tobytes())
print(tnm.build_info()["instruction_set"], digest.hexdigest())
"""


def run_with(forced: str, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TNM_FORCE_ISA": forced}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def is_usable(name: str) -> bool:
    return run_with(name, "import tnm_core").returncode == 0


def test_baseline_is_always_there() -> None:
    assert BUILT[0] == "baseline"
    assert is_usable("baseline")
    assert tnm.build_info()["instruction_set"] in BUILT


def test_all_instruction_sets_agree() -> None:
    """Bit for bit, masks and prices; and the one asked for is the one that ran."""
    digests = set()
    for name in filter(is_usable, BUILT):
        finished = run_with(name, DIGEST)
        assert finished.returncode == 0, finished.stderr
        in_use, digest = finished.stdout.split()
        assert in_use == name
        digests.add(digest)
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["avx1024", "AVX2", "native"])
def test_unknown_instruction_set_is_an_import_error(name: str) -> None:
    finished = run_with(name, "import tnm_core")
    assert finished.returncode == 1
    last = finished.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert name in last
    assert "baseline" in last


def test_empty_variable_means_the_widest() -> None:
    finished = run_with("", "import tnm_core; print(tnm_core.build_info()['instruction_set'])")
    assert finished.stdout.split() == [list(filter(is_usable, BUILT))[-1]]


def test_first_call_of_a_process_is_right() -> None:
    """Nothing may depend on what a fresh process happens to find in its memory."""
    code = """
import hashlib, numpy as np, tnm_core as tnm
w = np.random.default_rng(1).standard_normal((128, 192), dtype=np.float32)
masks = [tnm.transposable_mask(w, m // 2, m) for m in (4, 6, 8, 20, 64)]
print(hashlib.sha256(b"".join(mask.tobytes() for mask in masks)).hexdigest())
"""
    weights = np.random.default_rng(1).standard_normal((128, 192), dtype=np.float32)
    masks = [tnm.transposable_mask(weights, m // 2, m) for m in (4, 6, 8, 20, 64)]
    expected = hashlib.sha256(b"".join(mask.tobytes() for mask in masks)).hexdigest()
    for fill in ("0", "85", "255"):
        environment = {**os.environ, "MALLOC_PERTURB_": fill}
        finished = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert finished.stdout.strip() == expected
