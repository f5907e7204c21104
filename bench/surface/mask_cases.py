"""Transposable masks of weights in every layout and dtype, by every score, n and m."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.surface import weights as forms
from bench.surface.calls import mask, with_out
from bench.surface.case import COLUMNS, Case, Maker, on
from bench.surface.target import half_of_a_copy, million, two_threads

SHORT = ("float16", "bfloat16", "int8", "uint8", "int16", "uint16", "bool")
LONG = ("int32", "uint32", "float64", "int64", "uint64")
SCORED = ("float32", "float16", "bfloat16", "int8", "int16", "int32", "float64")
OTHER_N = {
    "1": (COLUMNS, lambda m: 1),
    "m / 4": (COLUMNS[1:], lambda m: m // 4),
    "m / 2 - 1": (COLUMNS[1:], lambda m: m // 2 - 1),
    "m / 2 + 1": (COLUMNS[1:], lambda m: m // 2 + 1),
    "3 m / 4": (COLUMNS[1:], lambda m: 3 * m // 4),
    "m - 1": (COLUMNS, lambda m: m - 1),
}
# Sizes of tiles that fill three or five eighths of the lanes that they take, and more.
OTHER_M = {
    "m = 3, 6, 12, 24, 48": (COLUMNS, lambda m: 3 * m // 4),
    "m = 5, 10, 20, 40": (COLUMNS[1:], lambda m: 5 * m // 8),
    "m = 7, 15, 31, 63": (COLUMNS[1:], lambda m: m - 1),
}
LARGE_M = (66, 96, 128)


def layouts() -> list[Case]:
    group = "layout"
    c, f = forms.square, forms.fortran
    kept: dict[str, Maker] = {
        "`out=` given": with_out(c),
        "Fortran order": on(mask, f()),
        "Fortran order, `out=` in Fortran order": with_out(f(), "F"),
        "Fortran order, `out=` in C order": with_out(f()),
        "C order, `out=` in Fortran order": with_out(c, "F"),
        "both strides negative": on(mask, forms.backwards),
        "a window of a larger matrix": on(mask, forms.window),
        "big-endian": on(mask, forms.big_endian),
        "batch of transposed matrices, 128 x 128": on(mask, forms.batch_of_transposed),
        "bfloat16, `out=` in Fortran order": with_out(forms.of_dtype("bfloat16"), "F"),
        "int8, `out=` in Fortran order": with_out(forms.of_dtype("int8"), "F"),
    }
    kept |= {f"Fortran order, {dtype}": on(mask, f(dtype)) for dtype in ("float16", "int8")}
    skipping = {
        "every second column": on(mask, forms.every_second_column()),
        "every second column, float16": on(mask, forms.every_second_column("float16")),
        "every second row": on(mask, forms.every_second_row),
        "Fortran order, float64": on(mask, f("float64")),
        "Fortran order, float64, `out=` in C order": with_out(f("float64")),
    }
    return [Case(group, name, make) for name, make in kept.items()] + [
        Case(group, name, make, goal=half_of_a_copy) for name, make in skipping.items()
    ]


def dtypes() -> list[Case]:
    def case(dtype: str, **options: Any) -> Case:
        return Case("dtype", dtype, on(mask, forms.of_dtype(dtype)), **options)

    return [
        *(case(dtype) for dtype in SHORT),
        *(case(dtype, goal=half_of_a_copy) for dtype in LONG),
    ]


def scores() -> list[Case]:
    def case(dtype: str, score: str) -> Case:
        scored = on(partial(mask, score=score), forms.of_dtype(dtype))
        goal = {"goal": half_of_a_copy} if dtype in LONG else {}
        return Case("score", f"{score} of {dtype}", scored, **goal)

    return [case(dtype, score) for score in ("square", "identity") for dtype in SCORED]


def patterns() -> list[Case]:
    make = on(mask, forms.square)
    kept = [
        Case("n and m", f"n = {name}", make, columns=columns, n=n)
        for name, (columns, n) in OTHER_N.items()
    ]
    fields = [
        Case("n and m", f"{name}, n = m / 2", make, columns=columns, m=m)
        for name, (columns, m) in OTHER_M.items()
    ]
    goal = million(120)
    large = [
        Case("n and m", f"m = {m}, n = m / 2, beside m = 64", make, (64,), goal, lambda _, m=m: m)
        for m in LARGE_M
    ]
    return kept + fields + large


def threads() -> list[Case]:
    """Two threads, beside one; clearing pages of new masks would be the system's part."""
    large = forms.enlarged(4)
    one, two = with_out(large), with_out(large, threads=2)
    name = "two threads on 8192 x 8192, `out=` given, beside one"
    return [Case("threads", name, two, goal=two_threads, beside=one, processors=2)]


def mask_cases() -> list[Case]:
    return [*layouts(), *dtypes(), *scores(), *patterns(), *threads()]
