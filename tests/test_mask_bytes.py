"""Masks whose bytes are neither 0 nor 1, such as views of other integers: not zero is true."""

from __future__ import annotations

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core.products import describe_buffer, pack_buffer, unpack_buffer


@pytest.fixture
def odd() -> np.ndarray:
    """Give a mask of 2:4 whose kept entries are stored as 1, 2, 128 and 255."""
    rng = np.random.default_rng(1)
    plain = tnm.transposable_mask(rng.random((64, 128)), 2, 4)
    stored = plain * rng.choice(np.array([1, 2, 128, 255], np.uint8), plain.shape)
    return np.asarray(stored.view(np.bool_))


def test_all_functions_take_them(odd: np.ndarray) -> None:
    """They mean what the same mask of 0 and 1 means."""
    plain = odd.view(np.uint8) != 0
    weights = np.random.default_rng(2).standard_normal(odd.shape).astype(np.float32)
    report, expected = tnm.check_mask(odd, 2, 4), tnm.check_mask(plain, 2, 4)
    assert report.valid
    assert report.density == 0.5
    np.testing.assert_array_equal(report.column_counts, expected.column_counts)
    for form in (odd, odd.T.copy().T, odd[:, ::-1][:, ::-1]):
        assert tnm.retained_score(weights, form).kept_entries == plain.sum()
        compressed = tnm.compress(weights, form, 2, 4)
        np.testing.assert_array_equal(tnm.decompress(compressed), weights * plain)
        np.testing.assert_array_equal(tnm.pack(weights, form).mask, plain)
        buffer = pack_buffer(weights, form)
        assert describe_buffer(buffer).nnz == plain.sum()
        np.testing.assert_array_equal(unpack_buffer(buffer)[1], plain)


def test_certificates(odd: np.ndarray) -> None:
    """A proof holds for the mask however it is stored."""
    plain = odd.view(np.uint8) != 0
    mask, proof = tnm.transposable_mask(plain, 2, 4, return_certificate=True)
    np.testing.assert_array_equal(mask, plain)
    proof.verify(plain, odd)


def test_ranks(odd: np.ndarray) -> None:
    """A tile has the number of the mask it means."""
    plain = odd.view(np.uint8) != 0
    assert tnm.rank_mask(odd[:4, :4], 2, 4) == tnm.rank_mask(plain[:4, :4], 2, 4)
