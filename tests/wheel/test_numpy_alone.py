"""The core does its work with NumPy as the only other package, and on each machine the same."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import tnm_core as tnm

PATTERNS = [(1, 2), (2, 4), (3, 4), (4, 8), (3, 7), (8, 16), (16, 32), (20, 64), (33, 66)]
# SHA-256 of the masks below: no processor, system, compiler or NumPy makes others.
DIGEST = "61c14c6af33a90f6e2587ce1ff49bd1f5d578b150424608058a83d22a3cd8b1a"

ONLY_NUMPY = """
import sys

class Refuser:
    allowed = {*sys.stdlib_module_names, "numpy", "tnm_core", "_distutils_hack"}

    def find_spec(self, name, path=None, target=None):
        # What Python itself was built with is a module of it, whose name has the system in it.
        own = name.startswith("_sysconfigdata_")
        if name.partition(".")[0] not in self.allowed and not own:
            raise ModuleNotFoundError(f"{name} is not NumPy")
        return None

sys.meta_path.insert(0, Refuser())
import numpy as np
import tnm_core as tnm

weights = np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32)
mask, proof = tnm.transposable_mask(weights, "4:8", return_certificate=True)
proof.verify(weights, mask)
assert tnm.check_mask(mask, "4:8").valid
weights[:8] @ tnm.pack(weights, mask).T
tnm.decompress(tnm.compress(weights, tnm.nm_mask(weights, 4, 8), 4, 8))
tnm.unrank_mask(tnm.rank_mask(mask[:8, :8], 4, 8), 4, 8)
tnm.sample_masks(8, 16, 2, rng=0)
tnm.mask_diversity(8, 16)
next(tnm.enumerate_masks(2, 4))
tnm.explain_path(weights, 2, 4)
import tnm_core.checkpoint
"""


def scores_of(m: int, side: int) -> np.ndarray:
    """Whole numbers, from arithmetic that is exact everywhere; many are equal where m is odd."""
    bits = 20 if m % 2 == 0 else 3
    numbers = np.arange(side * side, dtype=np.uint64).reshape(side, side) + np.uint64(m)
    mixed = numbers * np.uint64(2654435761) % np.uint64(2**32) >> np.uint64(32 - bits)
    return mixed.astype(np.float32) - np.float32(2 ** (bits - 1))


def test_nothing_but_numpy_is_imported() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ONLY_NUMPY],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("n", "m"), [(1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)])
def test_masks_of_small_tiles_are_the_best_of_all(n: int, m: int) -> None:
    rows = [row for row in itertools.product((False, True), repeat=m) if sum(row) == n]
    tiles = np.array(list(itertools.product(rows, repeat=m)))
    tiles = tiles[(tiles.sum(axis=1) == n).all(axis=1)]
    weights = scores_of(m, 8 * m)
    mask = tnm.transposable_mask(weights, n, m)
    for row, column in itertools.product(range(0, 8 * m, m), repeat=2):
        place = np.s_[row : row + m, column : column + m]
        sums = np.abs(weights[place]).astype(np.float64)
        assert (sums * mask[place]).sum() == (sums * tiles).sum(axis=(1, 2)).max()


@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_masks_prove_to_be_optimal(n: int, m: int) -> None:
    weights = scores_of(m, 2 * m + 3)
    mask, proof = tnm.transposable_mask(weights, n, m, return_certificate=True)
    proof.verify(weights, mask)
    assert tnm.check_mask(mask, n, m).valid


def test_masks_are_those_of_all_other_machines() -> None:
    digest = hashlib.sha256()
    for n, m in PATTERNS:
        for dtype in (np.float32, np.float64, np.int32):
            weights = scores_of(m, 200).astype(dtype)
            for mask in (
                tnm.transposable_mask(weights, n, m),
                tnm.transposable_mask(weights, n, m, method="greedy"),
                tnm.transposable_mask(weights, n, m, method="two_approximation"),
                tnm.nm_mask(weights, n, m),
            ):
                digest.update(np.packbits(mask).tobytes())
    assert digest.hexdigest() == DIGEST


@pytest.mark.parametrize("tokens", [1, 5, 70])
def test_products_are_those_of_the_dense_matrix(tokens: int) -> None:
    rng = np.random.default_rng(tokens)
    weights = rng.standard_normal((96, 160), dtype=np.float32)
    mask = tnm.transposable_mask(weights, 8, 16)
    packed, pruned = tnm.pack(weights, mask), np.where(mask, weights, np.float32(0))
    for given, product, dense in (
        (160, lambda x: x @ packed.T, pruned.T),
        (96, lambda x: x @ packed, pruned),
    ):
        x = rng.standard_normal((tokens, given), dtype=np.float32)
        bound = given * 2.0**-24 * (np.abs(x).astype(np.float64) @ np.abs(dense))
        exact = x.astype(np.float64) @ dense.astype(np.float64)
        assert (np.abs(product(x) - exact) <= bound + 1e-12).all()


def test_masks_are_counted_numbered_and_listed() -> None:
    assert [tnm.mask_diversity(m // 2, m) for m in (2, 4, 6, 8)] == [2, 90, 297200, 116963796250]
    listed = np.array(list(tnm.enumerate_masks(2, 4)))
    assert len(np.unique(listed, axis=0)) == 90
    assert [tnm.rank_mask(mask, 2, 4) for mask in listed] == list(range(90))
    np.testing.assert_array_equal([tnm.unrank_mask(k, 2, 4) for k in range(90)], listed)


def test_compressed_weights_come_back() -> None:
    weights = scores_of(8, 64)
    mask = tnm.transposable_mask(weights, 4, 8)
    np.testing.assert_array_equal(
        tnm.decompress(tnm.compress(weights, mask, 4, 8)), np.where(mask, weights, 0)
    )
