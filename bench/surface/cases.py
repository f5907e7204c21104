"""The list of cases: masks of every form of weights, and what surrounds masks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tnm_core as tnm
from bench.surface import weights as forms
from bench.surface.case import THREADS, Array, Call, Case, Maker, empty_mask, on

DTYPES = ("float64", "float16", "bfloat16", "int8", "uint8", "int16", "int32", "int64")
SHARES = (0.5, 0.6, 0.7, 0.9, 0.99)


def mask(weights: Array, n: int, m: int, **options: Any) -> object:
    return tnm.transposable_mask(weights, n, m, threads=THREADS, **options)


def row_mask(weights: Array, n: int, m: int, **options: Any) -> object:
    return tnm.nm_mask(weights, n, m, threads=THREADS, **options)


def headline(n: int, m: int, side: int) -> tuple[Call, int]:
    """Return the call that all others are compared with."""
    return on(mask, forms.square)(n, m, side)


def _with_out(weights: forms.Weights, order: str) -> Maker:
    def make(n: int, m: int, side: int) -> tuple[Call, int]:
        given = weights(n, m, side)
        out = empty_mask(given, order)
        return lambda: mask(given, n, m, out=out), given.size

    return make


def _keeping(kept: str) -> Maker:
    """Another n than m / 2."""
    of_m = {"1": lambda m: 1, "m / 4": lambda m: m // 4, "m - 1": lambda m: m - 1}[kept]

    def make(n: int, m: int, side: int) -> tuple[Call, int]:
        return on(mask, forms.square)(of_m(m), m, side)

    return make


def _masked(call: Any) -> Maker:
    """Make a case of a function of weights, their mask, n and m."""

    def make(n: int, m: int, side: int) -> tuple[Call, int]:
        given = forms.square(n, m, side)
        found = tnm.transposable_mask(given, n, m)
        return lambda: call(given, found, n, m), given.size

    return make


def _decompressed(axis: int) -> Maker:
    def make(n: int, m: int, side: int) -> tuple[Call, int]:
        given = forms.square(n, m, side)
        found = tnm.transposable_mask(given, n, m)
        packed = tnm.compress(given, found, n, m, axis=axis)
        return partial(tnm.decompress, packed), given.size

    return make


def _copied(n: int, m: int, side: int) -> tuple[Call, int]:
    given = forms.square(n, m, side)
    target = np.empty_like(given)
    return lambda: np.copyto(target, given), given.size


def _layouts() -> list[Case]:
    group = "layout"
    c, f = forms.square, forms.fortran()
    return [
        Case(group, "`out=` given", _with_out(c, "C")),
        Case(group, "Fortran order", on(mask, f)),
        Case(group, "Fortran order, `out=` in C order", _with_out(f, "C")),
        Case(group, "C order, `out=` in Fortran order", _with_out(c, "F")),
        Case(group, "every second column", on(mask, forms.every_second_column)),
        Case(group, "both strides negative", on(mask, forms.backwards)),
        Case(group, "Fortran order, float16", on(mask, forms.fortran("float16"))),
        Case(group, "Fortran order, float64", on(mask, forms.fortran("float64"))),
    ]


def _shapes() -> list[Case]:
    shapes: dict[str, tuple[int | str, ...]] = {
        "one tile": ("m", "m"),
        "64 x 64": (64, 64),
        "256 x 256": (256, 256),
        "1024 x 1024": (1024, 1024),
        "768 x 3072": (768, 3072),
        "1023 x 1025 (edge tiles)": (1023, 1025),
        "16 columns": ("rest", 16),
        "64 columns": ("rest", 64),
        "m columns": ("rest", "m"),
        "16 rows": (16, "rest"),
        "m rows": ("m", "rest"),
        "batch of tiles (B, m, m)": ("rest", "m", "m"),
        "batch of heads (B, 64, 64)": ("rest", 64, 64),
        "batch of 36 layers, 384 x 384": (36, 384, 384),
        "batch of experts (64, 256, 128)": (64, 256, 128),
    }
    return [Case("shape", name, on(mask, forms.shaped(*shape))) for name, shape in shapes.items()]


def _values() -> list[Case]:
    kinds = {
        "12 decades": forms.of_kind("decades"),
        "log-normal, sigma 3": forms.log_normal,
        "Student t, 2.5 degrees of freedom": forms.of_kind("student"),
        "rounded to a grid of 1/20": forms.changed(lambda w: np.rint(w * 20) / 20),
        "integers 0..7": forms.of_kind("integers"),
        "binary": forms.of_kind("binary"),
        "constant": forms.of_kind("constant"),
        "zeros but for n/m + .02": forms.of_kind("inflated"),
    }
    kinds |= {
        f"{100 * share:.0f} % zeros, the smallest": forms.smallest_zero(share) for share in SHARES
    }
    return [Case("values", name, on(mask, made)) for name, made in kinds.items()]


def _around() -> list[Case]:
    def check(weights: Array, found: Array, n: int, m: int) -> object:
        return tnm.check_mask(found, n, m)

    def compress(weights: Array, found: Array, n: int, m: int, axis: int = -1) -> object:
        return tnm.compress(weights, found, n, m, axis=axis)

    group = "around the mask"
    return [
        Case(group, "`nm_mask`", on(row_mask, forms.square)),
        Case(group, "`nm_mask(axis=-2)`", on(partial(row_mask, axis=-2), forms.square)),
        Case(group, "`check_mask`", _masked(check)),
        Case(group, "`compress`", _masked(compress)),
        Case(group, "`compress(axis=-2)`", _masked(partial(compress, axis=-2))),
        Case(group, "`decompress`", _decompressed(-1)),
        Case(group, "`decompress` of `axis=-2`", _decompressed(-2)),
        Case(group, "`return_certificate=True`",
             on(partial(mask, return_certificate=True), forms.square)),
        Case(group, "NumPy copies the weights", _copied),
    ]  # fmt: skip


def all_cases() -> list[Case]:
    """List all cases, group by group."""
    return [
        *_layouts(),
        *(Case("dtype", dtype, on(mask, forms.of_dtype(dtype))) for dtype in DTYPES),
        Case("score", "`score=\"square\"`", on(partial(mask, score="square"), forms.square)),
        Case("score", "`score=\"identity\"`, both signs",
             on(partial(mask, score="identity"), forms.square)),
        *(Case("n", f"n = {kept}", _keeping(kept)) for kept in ("1", "m / 4", "m - 1")),
        *_shapes(),
        Case("convolution", "3 x 3 as `transpose(2, 3, 0, 1)`", on(mask, forms.convolution(3))),
        Case("convolution", "1 x 1 as `transpose(2, 3, 0, 1)`", on(mask, forms.convolution(1))),
        *_values(),
        *_around(),
    ]  # fmt: skip
