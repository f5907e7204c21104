"""From mask to number and back, at every size whose table fits."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core import _core

PATTERNS = [(1, 1), (3, 4), (4, 8), (5, 8), (7, 13), (8, 16), (4, 32), (29, 32), (2, 100), (4, 64)]


def _random_below(bound: int, seed: int) -> int:
    """Near enough to uniform: 64 bits more than needed."""
    words = np.random.default_rng(seed).bytes(bound.bit_length() // 8 + 8)
    return int.from_bytes(words, "little") % bound


def _total(n: int, m: int) -> int:
    return _core.count_margins_dp([n] * m, [n] * m, 2**30)


@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_there_and_back(n: int, m: int) -> None:
    total = _total(n, m)
    for index in {0, total - 1, total // 2, *(_random_below(total, seed) for seed in range(5))}:
        mask = tnm.unrank_mask(index, n, m)
        assert mask.shape == (m, m)
        assert mask.dtype == np.bool_
        assert tnm.is_transposable(mask, n, m)
        assert tnm.rank_mask(mask, n, m) == index
    with pytest.raises(ValueError, match=f"index is {total}, expected 0 <= index < {total}"):
        tnm.unrank_mask(total, n, m)


@pytest.mark.parametrize(("n", "m"), [(4, 8), (6, 8), (8, 16), (4, 32)])
def test_back_and_there(n: int, m: int) -> None:
    scores = np.random.default_rng(m).normal(size=(10, m, m))
    for mask in tnm.transposable_mask(scores, n, m):
        np.testing.assert_array_equal(tnm.unrank_mask(tnm.rank_mask(mask, n, m), n, m), mask)


@pytest.mark.parametrize(("n", "m"), [(4, 8), (5, 8), (8, 16), (4, 32)])
def test_order_is_lexicographic(n: int, m: int) -> None:
    total = _total(n, m)
    indices = sorted(_random_below(total, seed) for seed in range(40))
    read = [tuple(tnm.unrank_mask(index, n, m).ravel()) for index in indices]
    assert read == sorted(read)
    # Neighbours differ late.
    for index in indices[:5]:
        first, second = (tnm.unrank_mask(index + k, n, m).ravel() for k in (0, 1))
        place = int(np.argmax(first != second))
        assert (first[place], second[place]) == (False, True)


@pytest.mark.parametrize(("n", "m"), [(1, 4), (3, 8), (8, 16), (1, 40)])
def test_first_mask_and_last(n: int, m: int) -> None:
    total = _total(n, m)
    first, last = tnm.unrank_mask(0, n, m), tnm.unrank_mask(total - 1, n, m)
    # No mask is less than one whose rows each take the last columns that they may take.
    needs = np.full(m, n)
    for row in range(m):
        expected = np.zeros(m, dtype=bool)
        must = np.flatnonzero(needs == m - row)
        expected[must] = True
        rest = [column for column in np.flatnonzero(needs)[::-1] if column not in must]
        expected[rest[: n - len(must)]] = True
        np.testing.assert_array_equal(first[row], expected)
        needs -= expected
    np.testing.assert_array_equal(last, first[:, ::-1])


def test_permutations_in_the_order_of_their_lists() -> None:
    """1:m masks read backwards are permutations in ascending order."""
    for index in range(0, math.factorial(6), 7):
        mask = tnm.unrank_mask(index, 1, 6)
        digits, rest = [], index
        for k in range(5, -1, -1):
            digit, rest = divmod(rest, math.factorial(k))
            digits.append(digit)
        left = list(range(5, -1, -1))
        columns = [left.pop(digit) for digit in digits]
        assert mask.argmax(axis=1).tolist() == columns


def test_integers_as_mask() -> None:
    assert tnm.rank_mask(np.eye(4, dtype=np.int8), 1, 4) == 23
    assert tnm.rank_mask([[0, 1], [1, 0]], 1, 2) == 0
    assert tnm.rank_mask(np.asfortranarray(tnm.unrank_mask(1234, 4, 8)), 4, 8) == 1234
    assert type(tnm.rank_mask(np.eye(4, dtype=bool), 1, 4)) is int
    np.testing.assert_array_equal(tnm.unrank_mask(np.int64(23), 1, 4), np.eye(4))


@pytest.mark.parametrize(
    ("index", "error", "told"),
    [
        (-1, ValueError, "index is -1"),
        (90, ValueError, "index is 90, expected 0 <= index < 90"),
        (2**200, ValueError, f"index is {2**200}"),
        (1.0, TypeError, "index is 1.0"),
        ("1", TypeError, "index is '1'"),
        (None, TypeError, "index is None"),
        (True, TypeError, "index is True"),
    ],
)
def test_bad_index(index: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told) as caught:
        tnm.unrank_mask(index, 2, 4)
    assert "expected" in str(caught.value)


def test_bad_masks() -> None:
    with pytest.raises(ValueError, match="keeps 1, expected exactly 2"):
        tnm.rank_mask(np.eye(4, dtype=bool), 2, 4)
    wrong = tnm.unrank_mask(5, 2, 4)
    wrong[:, [0, 1]] = False
    with pytest.raises(ValueError, match="no transposable 2:4 mask"):
        tnm.rank_mask(wrong, 2, 4)
    with pytest.raises(ValueError, match=r"shape \(8, 8\), expected \(4, 4\)"):
        tnm.rank_mask(np.eye(8, dtype=bool), 1, 4)
    with pytest.raises(ValueError, match="integers other than 0 and 1"):
        tnm.rank_mask(2 * np.eye(4, dtype=int), 1, 4)
    with pytest.raises(TypeError, match="float64"):
        tnm.rank_mask(np.eye(4), 1, 4)
    with pytest.raises(ValueError, match="n is 5"):
        tnm.rank_mask(np.eye(4, dtype=bool), 5, 4)


@pytest.mark.parametrize("memory_cap", [0, 1000, 10**6])
def test_memory_cap(memory_cap: int) -> None:
    tnm.unrank_mask(0, 8, 16)
    told = rf"memory_cap is {memory_cap} bytes, expected at least \d+ MB"
    with pytest.raises(ValueError, match=told):
        tnm.unrank_mask(0, 8, 16, memory_cap=memory_cap)
    tnm.unrank_mask(0, 8, 16, memory_cap=2_000_000)


def test_memory_cap_refuses_at_once() -> None:
    for n, m in [(16, 32), (32, 64), (64, 128)]:
        with pytest.raises(ValueError, match="memory_cap is 1073741824 bytes"):
            tnm.unrank_mask(0, n, m)


@pytest.mark.parametrize(("wrong", "error"), [(-1, ValueError), (1e9, TypeError), ("1", TypeError)])
def test_bad_memory_cap(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="memory_cap"):
        tnm.unrank_mask(0, 2, 4, memory_cap=wrong)
    with pytest.raises(error, match="memory_cap"):
        tnm.rank_mask(np.eye(4, dtype=bool), 1, 4, memory_cap=wrong)


def test_many_threads_share_the_tables() -> None:
    patterns = [(2, 4), (6, 12), (7, 14), (5, 10)] * 8

    def there_and_back(job: tuple[int, tuple[int, int]]) -> bool:
        seed, (n, m) = job
        index = _random_below(_total(n, m), seed)
        return tnm.rank_mask(tnm.unrank_mask(index, n, m), n, m) == index

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, enumerate(patterns)))


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from tnm_core.listing import tables as _mask_tables

    cache = _mask_tables._Cache()
    monkeypatch.setattr(_mask_tables, "_KEPT_BYTES", 100_000)
    first = cache.get(4, 8, 2**30)
    assert cache.get(4, 8, 2**30) is first
    large = cache.get(8, 16, 2**30)
    assert large.bytes > 100_000
    assert cache.get(8, 16, 2**30) is large, "the last one stays, whatever its size"
    again = cache.get(4, 8, 2**30)
    assert again is not first
    assert cache.get(2, 4, 2**30) is not None
    assert cache.get(4, 8, 2**30) is again, "small ones stay together"
    with pytest.raises(ValueError, match="memory_cap"):
        cache.get(4, 8, 1000)
    assert cache.get(4, 8, 2**30) is again
