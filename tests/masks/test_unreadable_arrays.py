"""What NumPy cannot view as numbers, or views without what was masked, is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tests.torch.refusals import assert_refused

W = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
MASK = tnm.transposable_mask(W, 2, 4)
_, PROOF = tnm.transposable_mask(W, 2, 4, return_certificate=True)
PACKED = tnm.pack(W, MASK)


class _Sparse:
    """Offers what matrices of SciPy offer."""

    __module__ = "scipy.sparse._csr"

    def toarray(self) -> Any:
        return W


class _DLPack:
    """Offers DLPack, and nothing that NumPy looks for."""

    def __dlpack__(self, **options: Any) -> Any:
        return W.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return W.__dlpack_device__()


TAKERS: list[Callable[[Any], object]] = [
    lambda one: tnm.transposable_mask(one, 2, 4),
    lambda one: tnm.nm_mask(one, 2, 4),
    lambda one: tnm.check_mask(one, 2, 4),
    lambda one: tnm.retained_score(one, MASK),
    lambda one: tnm.retained_score(W, one),
    lambda one: tnm.compress(one, MASK, 2, 4),
    lambda one: tnm.compress(W, one, 2, 4),
    lambda one: PROOF.verify(one, MASK),
    lambda one: PROOF.verify(W, one),
    tnm.pack,
    lambda one: tnm.pack(W, _not_none(one)),
    lambda one: PACKED.update_(one),
    lambda one: tnm.matmul(one, PACKED.T),
    lambda one: tnm.matmul(W, PACKED.T, bias=_not_none(one)),
]


def _not_none(one: Any) -> Any:
    """None is allowed there; a dict is not."""
    return {} if one is None else one


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, ("array",)),
        (_Sparse(), ("scipy _Sparse", ".toarray()")),
        (_DLPack(), ("_DLPack", "numpy.from_dlpack")),
        (iter(W), ("iterator", "cannot view")),
        ({"w": W}, ("dict", "cannot view")),
        ([[1.0, None], [2.0, 3.0]], ("holds None", "numbers")),
    ],
)
def test_objects(take: Callable[[Any], object], given: Any, told: tuple[str, ...]) -> None:
    assert_refused(lambda: take(given), TypeError, *told)


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize("nested", [False, True])
def test_masked_entries(take: Callable[[Any], object], nested: bool) -> None:
    masked = np.ma.masked_array(W, mask=MASK)
    given = list(masked) if nested else masked
    assert_refused(lambda: take(given), ValueError, "masked entries", "filled")


def test_masked_arrays_without_masked_entries() -> None:
    assert np.array_equal(tnm.transposable_mask(np.ma.masked_array(W), 2, 4), MASK)
    kept = np.ma.masked_array(W, mask=np.zeros_like(W, dtype=bool))
    assert np.array_equal(tnm.transposable_mask(kept, 2, 4), MASK)


def test_arrays_of_objects_are_told_apart_by_dtype() -> None:
    objects = W.astype(object)
    assert_refused(lambda: tnm.transposable_mask(objects, 2, 4), TypeError, "dtype object")
