"""Reading patterns: every form, everywhere the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tnm_core import Pattern
from tnm_core.pattern import as_pattern, as_transposable


@pytest.mark.parametrize(
    "given", ["2:4", "2 : 4", " 2:4 ", "2 :4", (2, 4), [2, 4], (np.int64(2), 4), Pattern(2, 4)]
)
def test_forms_of_one_pattern(given: Any) -> None:
    assert as_pattern(given) == Pattern(2, 4)
    assert as_pattern(2, 4) == Pattern(2, 4)


@pytest.mark.parametrize("given", ["row 2:4", "row  2 : 4", " row 2:4", Pattern(2, 4, False)])
def test_forms_of_the_rowwise_one(given: Any) -> None:
    pattern = as_pattern(given)
    assert pattern == Pattern(2, 4, transposable=False)
    assert str(pattern) == "row 2:4"
    with pytest.raises(ValueError, match=r"'row 2:4', expected a transposable one, such as '2:4'"):
        as_transposable(given)


@pytest.mark.parametrize("n", [1, 3, 128])
def test_text_is_read_back(n: int) -> None:
    for transposable in (True, False):
        pattern = Pattern(n, 128, transposable)
        assert as_pattern(str(pattern)) == pattern


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (("2-4",), ValueError, "pattern is '2-4', expected n:m"),
        (("",), ValueError, "pattern is '', expected n:m"),
        (("row2:4",), ValueError, "expected n:m"),
        (("rows 2:4",), ValueError, "expected n:m"),
        (("2:4:8",), ValueError, "expected n:m"),
        (("\u0662:4",), ValueError, "expected n:m"),
        (("0:4",), ValueError, "n is 0, expected 1 <= n <= m = 4: n is what is kept of m"),
        (("5:4",), ValueError, "n is 5, expected 1 <= n <= m = 4"),
        (("2:129",), ValueError, "m is 129, expected 1 <= m <= 128"),
        (((2, 4, 8),), ValueError, r"pattern is \(2, 4, 8\), expected a pair"),
        (((2, 4.0),), TypeError, r"m is 4.0 \(float\), expected an integer"),
        ((2,), TypeError, r"m is missing \(None\), expected n and m"),
        ((2, True), TypeError, r"m is True \(bool\)"),
        ((None,), TypeError, r"pattern is None \(NoneType\), expected text"),
        ((2.0,), TypeError, r"pattern is 2.0 \(float\), expected text"),
        (
            ("2:4", 4),
            TypeError,
            "m is 4 after the pattern '2:4', which says m already, expected",
        ),
    ],
)
def test_what_is_no_pattern(given: tuple[Any, ...], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        as_pattern(*given)


def test_what_equals_a_number_that_came_before_is_not_taken_for_it() -> None:
    assert as_pattern(1, 4) is as_pattern(1, 4)
    for n, m in ((True, 4), (1, 4.0), (1.0, 4)):
        with pytest.raises(TypeError, match="expected an integer"):
            as_pattern(n, m)  # type: ignore[arg-type]
    assert as_pattern("row 1:4", transposable=False) == as_pattern(1, 4, transposable=False)
