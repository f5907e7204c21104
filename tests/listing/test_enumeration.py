"""Going through all masks of a tile: complete, in order, from anywhere, in bounded memory."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm

COUNTS = {(1, 4): 24, (2, 4): 90, (3, 4): 24, (4, 4): 1, (2, 5): 2040, (1, 8): 40320}


def _all_masks_naively(n: int, m: int) -> list[np.ndarray]:
    """Every choice of rows, in lexicographic order, that leaves the columns right."""
    rows = [
        row for row in itertools.product((False, True), repeat=m) if sum(row) == n
    ]  # ascending: False comes first
    masks = (np.array(mask) for mask in itertools.product(rows, repeat=m))
    return [mask for mask in masks if (mask.sum(axis=0) == n).all()]


def _codes(n: int, m: int, **options: Any) -> np.ndarray:
    return np.concatenate(
        [np.empty(0, np.uint64), *tnm.enumerate_masks(n, m, as_array=True, **options)]
    )


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 2), (2, 2), (2, 3), (1, 4), (2, 4), (3, 4)])
def test_against_naive_enumeration(n: int, m: int) -> None:
    masks = list(tnm.enumerate_masks(n, m))
    assert all(mask.shape == (m, m) and mask.dtype == np.bool_ for mask in masks)
    np.testing.assert_array_equal(masks, _all_masks_naively(n, m))


@pytest.mark.parametrize(("n", "m"), COUNTS)
def test_complete_and_ascending(n: int, m: int) -> None:
    codes = _codes(n, m)
    assert codes.dtype == np.uint64
    assert len(codes) == COUNTS[n, m]
    assert (codes[1:] > codes[:-1]).all()
    masks = tnm.decode_masks(codes, m)
    assert (masks.sum(axis=1) == n).all()
    assert (masks.sum(axis=2) == n).all()


@pytest.mark.parametrize(("n", "m"), [(2, 8), (4, 8), (3, 8), (5, 8), (3, 7)])
def test_prefix_and_pieces(n: int, m: int) -> None:
    """What cannot all be gone through here: the beginning, and pieces from anywhere."""
    prefix = _codes(n, m, stop=200_000)
    assert len(prefix) == 200_000
    assert (prefix[1:] > prefix[:-1]).all()
    masks = tnm.decode_masks(prefix, m)
    assert (masks.sum(axis=1) == n).all()
    assert (masks.sum(axis=2) == n).all()
    np.testing.assert_array_equal(_codes(n, m, start=123_456, stop=123_999), prefix[123456:123999])
    for index in (0, 1, 77_777, 199_999):
        np.testing.assert_array_equal(masks[index], tnm.unrank_mask(index, n, m))
        assert tnm.rank_mask(masks[index], n, m) == index


@pytest.mark.parametrize(("n", "m"), [(2, 8), (4, 8)])
def test_last_masks(n: int, m: int) -> None:
    """The reversed complement of the first mask is the last one of the complementary pattern."""
    total = {(2, 8): 187530840, (4, 8): 116963796250}[n, m]
    last = _codes(n, m, start=total - 1000)
    assert len(last) == 1000
    first = _codes(m - n, m, stop=1000)
    np.testing.assert_array_equal(~last[::-1], first)


def test_equal_to_unrank() -> None:
    for n, m in [(2, 4), (3, 4), (2, 5), (3, 5)]:
        for index, mask in enumerate(tnm.enumerate_masks(n, m)):
            np.testing.assert_array_equal(mask, tnm.unrank_mask(index, n, m))
            assert tnm.rank_mask(mask, n, m) == index


@pytest.mark.parametrize("chunk", [1, 7, 90, 1000])
def test_chunks(chunk: int) -> None:
    chunks = list(tnm.enumerate_masks(2, 4, as_array=True, chunk=chunk))
    lengths = [len(codes) for codes in chunks]
    assert sum(lengths) == 90
    assert all(length == chunk for length in lengths[:-1])
    assert 1 <= lengths[-1] <= chunk
    np.testing.assert_array_equal(np.concatenate(chunks), _codes(2, 4))
    chunks[0][:] = 0
    assert (np.concatenate(chunks[1:] or [np.ones(1)]) != 0).all(), "arrays share no memory"


def test_ranges() -> None:
    everything = _codes(2, 4)
    for start, stop in [(0, 0), (0, 1), (5, 5), (5, 60), (89, 90), (90, 90)]:
        expected = everything[start:stop]
        np.testing.assert_array_equal(_codes(2, 4, start=start, stop=stop), expected)
        masks = list(tnm.enumerate_masks(2, 4, start=start, stop=stop))
        assert len(masks) == stop - start
        np.testing.assert_array_equal(np.reshape(masks, (-1, 4, 4)), tnm.decode_masks(expected, 4))


def test_lazy() -> None:
    """The first of 116,963,796,250 masks comes at once."""
    first = next(tnm.enumerate_masks(4, 8))
    np.testing.assert_array_equal(first, np.kron(1 - np.eye(2, dtype=int), np.ones((4, 4))))
    iterator = tnm.enumerate_masks(4, 8, as_array=True, chunk=3)
    assert iter(iterator) is iterator
    assert [len(next(iterator)) for _ in range(4)] == [3, 3, 3, 3]


def test_two_iterators_do_not_disturb_each_other() -> None:
    pairs = zip(tnm.enumerate_masks(2, 4), tnm.enumerate_masks(2, 4), strict=True)
    assert all((first == second).all() for first, second in pairs)


def test_masks_belong_to_the_caller() -> None:
    iterator = tnm.enumerate_masks(2, 4)
    first, second = next(iterator), next(iterator)
    first[:] = True
    assert second.sum() == 8
    assert first.base is None


@pytest.mark.parametrize("m", range(1, 9))
def test_codes_of_any_matrix(m: int) -> None:
    masks = np.random.default_rng(m).random((3, 5, m, m)) < 0.5
    codes = tnm.encode_masks(masks)
    assert codes.shape == (3, 5)
    assert codes.dtype == np.uint64
    for position in np.ndindex(3, 5):
        digits = "".join(str(int(entry)) for entry in masks[position].ravel())
        assert int(codes[position]) == int(digits, 2)
    np.testing.assert_array_equal(tnm.decode_masks(codes, m), masks)
    assert tnm.encode_masks(masks[0, 0]).shape == ()
    np.testing.assert_array_equal(tnm.decode_masks(int(codes[0, 0]), m), masks[0, 0])
    np.testing.assert_array_equal(tnm.encode_masks(masks.astype(int)), codes)


def test_place_of_rows_and_columns_in_a_code() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[0, 0] = True
    assert tnm.encode_masks(mask) == 2**63
    mask = np.zeros((3, 3), dtype=bool)
    mask[1, 0] = mask[2, 2] = True
    assert tnm.encode_masks(mask) == 0b000_100_001


def test_codes_of_nothing() -> None:
    assert tnm.decode_masks(np.empty((0, 2), np.uint64), 4).shape == (0, 2, 4, 4)
    assert tnm.decode_masks([], 4).shape == (0, 4, 4)
    assert tnm.encode_masks(np.empty((0, 4, 4), bool)).shape == (0,)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"start": -1}, ValueError, "start is -1"),
        ({"start": 91}, ValueError, "start is 91, expected 0 <= start <= 90"),
        ({"stop": 91}, ValueError, "stop is 91, expected 0 <= stop <= 90"),
        ({"start": 5, "stop": 4}, ValueError, "stop is 4, expected 5 <= stop"),
        ({"start": 1.0}, TypeError, "start is 1.0"),
        ({"stop": "9"}, TypeError, "stop is '9'"),
        ({"stop": True}, TypeError, "stop is True"),
        ({"chunk": 0, "as_array": True}, ValueError, "chunk is 0, expected at least 1"),
        ({"chunk": None}, TypeError, "chunk is None"),
        ({"as_array": "yes"}, TypeError, "as_array is 'yes'"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told) as caught:
        tnm.enumerate_masks(2, 4, **options)
    assert "expected" in str(caught.value)


def test_bad_patterns() -> None:
    with pytest.raises(ValueError, match="m is 9, expected m <= 8"):
        tnm.enumerate_masks(2, 9)
    with pytest.raises(ValueError, match="n is 5"):
        tnm.enumerate_masks(5, 4)
    with pytest.raises(ValueError, match="n is 0"):
        tnm.enumerate_masks(0, 4)
    with pytest.raises(TypeError, match=r"n is 2\.0"):
        tnm.enumerate_masks(2.0, 4)  # type: ignore[call-overload]


def test_bad_codes() -> None:
    with pytest.raises(ValueError, match="codes hold 65536, expected 0 <= code <= 65535"):
        tnm.decode_masks([65536], 4)
    with pytest.raises(ValueError, match="codes hold -1"):
        tnm.decode_masks([3, -1], 8)
    with pytest.raises(TypeError, match="codes have dtype float64, expected uint64"):
        tnm.decode_masks([1.0], 4)
    with pytest.raises(ValueError, match="m is 9"):
        tnm.decode_masks([1], 9)
    with pytest.raises(ValueError, match=r"shape \(4, 5\), expected \(\.\.\., m, m\)"):
        tnm.encode_masks(np.ones((4, 5), bool))
    with pytest.raises(ValueError, match=r"shape \(9, 9\)"):
        tnm.encode_masks(np.ones((9, 9), bool))
    with pytest.raises(TypeError, match="float64"):
        tnm.encode_masks(np.ones((4, 4)))
    with pytest.raises(ValueError, match="at least 2"):
        tnm.encode_masks(np.ones(4, bool))
