"""Bad input: the right exception, one line that says what came and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tests.support.arrays import FLOATS, make_array

METHODS = ["optimal", "two_approximation", "greedy"]


def _assert_refused(call: Callable[[], Any], error: type[Exception], *told: object) -> None:
    """Raise exactly this kind of error, in one line that mentions all of `told`."""
    with pytest.raises(error) as caught:
        call()
    assert caught.type in (TypeError, ValueError), "a plain TypeError or ValueError"
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    for part in told:
        assert str(part) in message, f"{part!r} is not mentioned in {message!r}"


SOLVERS = [tnm.transposable_mask, tnm.nm_mask]
MASK = np.eye(4, dtype=bool)
PATTERN_USERS: dict[str, Callable[[Any, Any], Any]] = {
    "transposable_mask": lambda n, m: tnm.transposable_mask(np.ones((4, 4)), n, m),
    "nm_mask": lambda n, m: tnm.nm_mask(np.ones((4, 4)), n, m),
    "check_mask": lambda n, m: tnm.check_mask(MASK, n, m),
    "is_transposable": lambda n, m: tnm.is_transposable(MASK, n, m),
    "compress": lambda n, m: tnm.compress(np.ones((4, 4)), MASK, n, m),
    "enumerate_masks": tnm.enumerate_masks,
    "rank_mask": lambda n, m: tnm.rank_mask(MASK, n, m),
    "unrank_mask": lambda n, m: tnm.unrank_mask(0, n, m),
    "sample_masks": tnm.sample_masks,
}


@pytest.mark.parametrize("name", PATTERN_USERS)
@pytest.mark.parametrize(
    ("n", "m", "told"),
    [
        (5, 4, (5, 4)),
        (0, 4, (0,)),
        (-1, 4, (-1,)),
        (0, 0, (0,)),
        (1, -4, (-4,)),
        (2, 129, (129, 128)),
        (129, 129, (129, 128)),
        (2, 2**70, (2**70,)),
        (2**70, 4, (2**70,)),
        (-(2**70), 4, (-(2**70),)),
    ],
)
def test_pattern_out_of_range(name: str, n: int, m: int, told: tuple[int, ...]) -> None:
    _assert_refused(lambda: PATTERN_USERS[name](n, m), ValueError, *told)


@pytest.mark.parametrize("name", PATTERN_USERS)
@pytest.mark.parametrize("wrong", [True, False, 2.0, np.float64(2), "2", None, np.True_, [2], 2j])
def test_pattern_of_wrong_type(name: str, wrong: Any) -> None:
    _assert_refused(lambda: PATTERN_USERS[name](wrong, 4), TypeError, "n ", wrong)
    _assert_refused(lambda: PATTERN_USERS[name](1, wrong), TypeError, "m ", wrong)


@pytest.mark.parametrize("name", PATTERN_USERS)
def test_pattern_of_numpy_integers(name: str) -> None:
    for integer in (np.int8, np.uint64, np.intp):
        PATTERN_USERS[name](integer(1), integer(4))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "dtype", ["complex64", "complex128", "object", "U3", "S3", "V4", "M8[s]", "m8[s]"]
)
def test_unknown_dtypes(solver: Callable[..., Any], dtype: str) -> None:
    array = np.zeros((4, 4), dtype=dtype)
    _assert_refused(lambda: solver(array, 2, 4), TypeError, array.dtype)


@pytest.mark.parametrize("solver", SOLVERS)
def test_longdouble(solver: Callable[..., Any]) -> None:
    if np.dtype(np.longdouble) == np.dtype(np.float64):
        pytest.skip("long double is double here")
    array = np.ones((4, 4), dtype=np.longdouble)
    _assert_refused(lambda: solver(array, 2, 4), TypeError, array.dtype)


@pytest.mark.parametrize("solver", SOLVERS)
def test_structured_dtype(solver: Callable[..., Any]) -> None:
    array = np.zeros((4, 4), dtype=[("a", "f4"), ("b", "f4")])
    _assert_refused(lambda: solver(array, 2, 4), TypeError)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("wrong", [None, "weights", {"a": 1}, object()])
def test_no_array_at_all(solver: Callable[..., Any], wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        solver(wrong, 2, 4)


def test_too_few_axes() -> None:
    _assert_refused(lambda: tnm.transposable_mask(np.ones(4), 2, 4), ValueError, 1, 2)
    _assert_refused(lambda: tnm.transposable_mask(np.float64(4), 2, 4), ValueError, 0, 2)
    _assert_refused(lambda: tnm.nm_mask(np.float64(4), 2, 4), ValueError, 0, 1)
    _assert_refused(lambda: tnm.check_mask(MASK[0], 2, 4), ValueError, 1, 2)
    _assert_refused(lambda: tnm.is_transposable(MASK[0], 2, 4), ValueError, 1, 2)
    _assert_refused(lambda: tnm.compress(np.ones(4), MASK[0], 2, 4), ValueError, 1, 2)


# Not-a-number and infinity.


def _plant(array: np.ndarray, bad: dict[tuple[int, ...], float]) -> np.ndarray:
    planted = array.copy()
    for index, value in bad.items():
        planted[index] = value
    return planted


def _spelled(index: tuple[int, ...]) -> str:
    return ", ".join(map(str, index))


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("score", ["abs", "square", "identity"])
@pytest.mark.parametrize("index", [(0, 0), (4, 9), (8, 12), (3, 12), (8, 0)])
def test_non_finite_in_every_place(
    index: tuple[int, int], score: str, dtype: str, value: float
) -> None:
    array = _plant(make_array((9, 13), dtype), {index: value})
    kind = "nan" if np.isnan(value) else "inf"
    for method in METHODS:
        _assert_refused(
            lambda method=method: tnm.transposable_mask(array, 2, 4, method=method, score=score),
            ValueError,
            _spelled(index),
            kind,
        )
    for axis in (0, 1):
        _assert_refused(
            lambda axis=axis: tnm.nm_mask(array, 2, 4, axis=axis, score=score),
            ValueError,
            _spelled(index),
            kind,
        )


@pytest.mark.parametrize("layout", ["c", "fortran", "sliced", "negative_steps", "batch_last"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_first_in_c_order_whoever_finds_it(threads: int, method: str, layout: str) -> None:
    """Tiles and threads meet bad entries in another order than C order."""
    bad = {
        # Same matrix: a later tile of the first row of entries comes first in C order.
        (1, 2, 480): np.nan,
        (1, 3, 0): np.inf,
        (1, 200, 5): -np.inf,
        (2, 0, 0): np.nan,
    }
    array = make_array((3, 256, 512), "float32", layout=layout)
    for index, value in bad.items():
        array[index] = value
    for first in bad:
        _assert_refused(
            lambda: tnm.transposable_mask(array, 8, 16, method=method, threads=threads),
            ValueError,
            f"[{_spelled(first)}]",
        )
        array[first] = 1.0
    assert tnm.transposable_mask(array, 8, 16, method=method, threads=threads).any()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_first_in_c_order_row_wise(axis: int, threads: int) -> None:
    bad = [(0, 5, 700), (0, 6, 3), (1, 0, 0), (3, 3, 3)]
    array = make_array((4, 300, 1000), "float32")
    for index in bad:
        array[index] = np.nan
    for first in bad:
        _assert_refused(
            lambda: tnm.nm_mask(array, 2, 4, axis=axis, threads=threads),
            ValueError,
            f"[{_spelled(first)}]",
        )
        array[first] = 1.0


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("certificate", [False, True])
def test_out_is_untouched_by_a_failing_call(certificate: bool, threads: int) -> None:
    array = _plant(make_array((512, 512)), {(511, 511): np.nan})
    before = make_array((512, 512), "bool", seed=3)
    out = before.copy()
    with pytest.raises(ValueError, match="511, 511"):
        tnm.transposable_mask(array, 4, 8, out=out, threads=threads, return_certificate=certificate)
    np.testing.assert_array_equal(out, before)
    with pytest.raises(ValueError, match="511, 511"):
        tnm.nm_mask(array, 4, 8, out=out, threads=threads)
    np.testing.assert_array_equal(out, before)


def test_squares_that_overflow() -> None:
    """A finite value whose square is infinite in float64 is a score like others."""
    array = _plant(np.ones((8, 8)), {(3, 5): -1e200})
    for mask in (
        tnm.transposable_mask(array, 4, 8, score="square"),
        tnm.nm_mask(array, 4, 8, score="square"),
    ):
        assert mask[3, 5]
        assert mask[3].sum() == 4


def test_infinity_of_a_foreign_byte_order() -> None:
    array = _plant(np.ones((4, 4)), {(2, 1): np.inf}).astype(">f8")
    _assert_refused(lambda: tnm.transposable_mask(array, 2, 4), ValueError, "2, 1")


# The place to write to.


@pytest.mark.parametrize("solver", SOLVERS)
def test_out_of_wrong_shape(solver: Callable[..., Any]) -> None:
    array = np.ones((4, 8))
    for shape in ((8, 4), (4, 4), (1, 4, 8), (32,), (4, 8, 1), (0,)):
        out = np.zeros(shape, dtype=bool)
        _assert_refused(lambda out=out: solver(array, 2, 4, out=out), ValueError, shape, (4, 8))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32", "object"])
def test_out_of_wrong_dtype(solver: Callable[..., Any], dtype: str) -> None:
    out = np.zeros((4, 4), dtype=dtype)
    _assert_refused(lambda: solver(np.ones((4, 4)), 2, 4, out=out), TypeError, dtype, "bool")


@pytest.mark.parametrize("solver", SOLVERS)
def test_out_that_is_no_array(solver: Callable[..., Any]) -> None:
    for out in ([[False] * 4] * 4, "out", 0, bytearray(16)):
        _assert_refused(
            lambda out=out: solver(np.ones((4, 4)), 2, 4, out=out), TypeError, type(out).__name__
        )


@pytest.mark.parametrize("solver", SOLVERS)
def test_out_that_is_read_only(solver: Callable[..., Any]) -> None:
    out = np.zeros((4, 4), dtype=bool)
    out.flags.writeable = False
    _assert_refused(lambda: solver(np.ones((4, 4)), 2, 4, out=out), ValueError, "read-only")
    assert not out.any()


@pytest.mark.parametrize("solver", SOLVERS)
def test_out_that_overlaps_the_input(solver: Callable[..., Any]) -> None:
    array = make_array((12, 12), "bool")
    before = array.copy()
    for source, out in (
        (array, array),
        (array[:8], array[4:]),
        (array, array[::-1]),
        (array, array.T),
        (array[:, :8], array[:, 4:]),
    ):
        _assert_refused(
            lambda source=source, out=out: solver(source, 2, 4, out=out), ValueError, "overlap"
        )
    floats = np.zeros((4, 4))
    inside = floats.view(bool)[:, :4]
    _assert_refused(lambda: solver(floats, 2, 4, out=inside), ValueError, "overlap")
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("solver", SOLVERS)
def test_out_that_overlaps_itself(solver: Callable[..., Any]) -> None:
    out = np.lib.stride_tricks.as_strided(np.zeros(4, dtype=bool), (4, 4), (0, 1))
    with pytest.raises(ValueError, match="expected"):
        solver(np.ones((4, 4)), 2, 4, out=out)


# The rest of the options.


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("threads", [0, -1, -(2**70)])
def test_threads_out_of_range(solver: Callable[..., Any], threads: int) -> None:
    _assert_refused(lambda: solver(MASK, 1, 4, threads=threads), ValueError, "threads", threads)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("threads", [1.0, "2", [1], 1j])
def test_threads_of_wrong_type(solver: Callable[..., Any], threads: Any) -> None:
    _assert_refused(lambda: solver(MASK, 1, 4, threads=threads), TypeError, "threads", threads)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("threads", [64, 10**6, 2**31, 2**40, 2**70])
def test_more_threads_than_anything_are_harmless(solver: Callable[..., Any], threads: int) -> None:
    """Too many are no mistake: no more run than there is work."""
    expected = solver(MASK, 1, 4, threads=1)
    np.testing.assert_array_equal(solver(MASK, 1, 4, threads=threads), expected)


@pytest.mark.parametrize("wrong", ["best", "", "OPTIMAL", "greedy "])
def test_unknown_method(wrong: str) -> None:
    _assert_refused(
        lambda: tnm.transposable_mask(MASK, 1, 4, method=wrong), ValueError, "method", wrong
    )


@pytest.mark.parametrize("wrong", [None, 1, b"optimal", np.str_])
def test_method_of_wrong_type(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        tnm.transposable_mask(MASK, 1, 4, method=wrong)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("wrong", ["l1", "", "ABS"])
def test_unknown_score(solver: Callable[..., Any], wrong: str) -> None:
    _assert_refused(lambda: solver(MASK, 1, 4, score=wrong), ValueError, "score", wrong)


@pytest.mark.parametrize("method", ["two_approximation", "greedy"])
def test_no_certificate_of_approximations(method: str) -> None:
    _assert_refused(
        lambda: tnm.transposable_mask(MASK, 1, 4, method=method, return_certificate=True),
        ValueError,
        "return_certificate",
        method,
    )


def test_optimal_is_always_complete() -> None:
    _assert_refused(
        lambda: tnm.transposable_mask(MASK, 1, 4, complete=False), ValueError, "complete"
    )


def test_axis_out_of_range() -> None:
    array = np.ones((4, 4))
    for axis in (2, -3, 2**70):
        _assert_refused(lambda axis=axis: tnm.nm_mask(array, 2, 4, axis=axis), ValueError, axis)
        _assert_refused(
            lambda axis=axis: tnm.check_mask(MASK, 2, 4, transposable=False, axis=axis),
            ValueError,
            axis,
        )
    for axis in (2, 5, -3):
        _assert_refused(
            lambda axis=axis: tnm.compress(array, MASK, 1, 4, axis=axis), ValueError, axis
        )
    for axis in (1.0, "rows"):
        _assert_refused(lambda axis=axis: tnm.nm_mask(array, 2, 4, axis=axis), TypeError, axis)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "object", "U1"])
def test_mask_of_wrong_dtype(dtype: str) -> None:
    mask = np.zeros((4, 4), dtype=dtype)
    for call in (
        lambda: tnm.check_mask(mask, 2, 4),
        lambda: tnm.is_transposable(mask, 2, 4),
        lambda: tnm.compress(np.ones((4, 4)), mask, 2, 4),
    ):
        _assert_refused(call, TypeError, mask.dtype, "bool")


def test_compress_mask_of_another_shape() -> None:
    _assert_refused(lambda: tnm.compress(np.ones((4, 8)), MASK, 1, 4), ValueError, (4, 4), (4, 8))


def test_compress_object_array() -> None:
    array = np.ones((4, 4), dtype=object)
    _assert_refused(lambda: tnm.compress(array, MASK, 1, 4), TypeError, "object")


def test_decompress_something_else() -> None:
    _assert_refused(lambda: tnm.decompress(np.ones((4, 4))), TypeError, "ndarray")


def test_options_are_keywords() -> None:
    """The order of options is nobody's to remember."""
    with pytest.raises(TypeError, match="positional"):
        tnm.transposable_mask(MASK, 1, 4, "greedy")
    with pytest.raises(TypeError, match="positional"):
        tnm.nm_mask(MASK, 1, 4, 0)


def test_messages_are_not_swallowed_by_large_arrays() -> None:
    """An error names entries and shapes; it never prints the array."""
    array = np.zeros((500, 500), dtype=complex)
    with pytest.raises(TypeError) as caught:
        tnm.transposable_mask(array, 2, 4)
    assert len(str(caught.value)) < 300
    assert not re.search(r"0\.?\s*\.\.\.", str(caught.value))
