"""What surrounds the optimum: row-wise masks, checking, sums, packing, proving, files."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import tnm_core as tnm
from bench.surface import weights as forms
from bench.surface.calls import THREADS, mask, row_mask
from bench.surface.case import Array, Case, Job, Maker, on
from bench.surface.target import a_quarter, as_the_optimum, million, no_target
from tnm_core import checkpoint

VALUES = ("float32", "float16", "bfloat16", "int8")
MEMORY = Path("/dev/shm")

# A function of weights, their mask, n and m.
Masked = Callable[[Array, Array, int, int], object]


def _masked(call: Masked, dtype: str = "float32", order: str = "C") -> Maker:
    def make(n: int, m: int, side: int) -> Job:
        given = forms.of_dtype(dtype)(n, m, side)
        found = np.asarray(tnm.transposable_mask(given, n, m), order=order)  # type: ignore[call-overload]
        return Job(partial(call, given, found, n, m), given)

    return make


def _decompressed(axis: int, dtype: str) -> Maker:
    def make(n: int, m: int, side: int) -> Job:
        given = forms.of_dtype(dtype)(n, m, side)
        packed = tnm.compress(given, tnm.transposable_mask(given, n, m), n, m, axis=axis)
        return Job(partial(tnm.decompress, packed), given)

    return make


def _check(weights: Array, found: Array, n: int, m: int, **options: Any) -> object:
    return tnm.check_mask(found, n, m, **options)


def _retain(weights: Array, found: Array, n: int, m: int) -> object:
    return tnm.retained_score(weights, found, threads=THREADS)


def _compress(weights: Array, found: Array, n: int, m: int, axis: int = -1) -> object:
    return tnm.compress(weights, found, n, m, axis=axis)


def rowwise() -> list[Case]:
    masks = {
        "`nm_mask`": on(row_mask, forms.square),
        "`nm_mask(axis=-2)`": on(partial(row_mask, axis=-2), forms.square),
        "`nm_mask` in Fortran order": on(row_mask, forms.fortran()),
        "`nm_mask` of float16": on(row_mask, forms.of_dtype("float16")),
        "`nm_mask` of int8": on(row_mask, forms.of_dtype("int8")),
        "`nm_mask(score=\"square\")`": on(partial(row_mask, score="square"), forms.square),
        "`nm_mask` of binary weights": on(row_mask, forms.of_kind("binary")),
    }  # fmt: skip
    return [
        *(Case("row-wise", name, make, goal=as_the_optimum) for name, make in masks.items()),
        Case("row-wise", "`nm_mask` of m = 66, beside m = 64", on(row_mask, forms.square),
             (64,), as_the_optimum, lambda _: 66),
        Case("row-wise", "`nm_mask` of m = 128, beside m = 64", on(row_mask, forms.square),
             (64,), as_the_optimum, lambda _: 128),
    ]  # fmt: skip


def checks() -> list[Case]:
    made = {
        "`check_mask`": _masked(_check),
        "`check_mask` in Fortran order": _masked(_check, order="F"),
        "`check_mask(transposable=False)`": _masked(partial(_check, transposable=False)),
    }
    return [Case("check", name, make, goal=million(3000)) for name, make in made.items()]


def sums() -> list[Case]:
    """What a mask retains, beside all."""
    names = {f"`retained_score`, {dtype}": _masked(_retain, dtype) for dtype in VALUES}
    return [
        *(Case("check", name, make, goal=million(3000)) for name, make in names.items()),
        Case("check", "`retained_score` in Fortran order, float32", _turned, goal=million(1500)),
    ]


def _turned(n: int, m: int, side: int) -> Job:
    given = forms.fortran()(n, m, side)
    found = np.asfortranarray(tnm.transposable_mask(given, n, m))
    return Job(partial(_retain, given, found, n, m), given)


def packing() -> list[Case]:
    """Both ways along both axes, and what NumPy takes to copy the same bytes."""
    made = {
        f"`{name}{'' if axis == -1 else '(axis=-2)'}`, {dtype}": make(axis, dtype)
        for dtype in VALUES
        for axis in (-1, -2)
        for name, make in {
            "compress": lambda axis, dtype: _masked(partial(_compress, axis=axis), dtype),
            "decompress": _decompressed,
        }.items()
    }
    copies = {f"NumPy copies {dtype}": _copied(forms.of_dtype(dtype)) for dtype in VALUES}
    return [
        *(Case("packing", name, make, goal=million(1500)) for name, make in made.items()),
        *(Case("packing", name, make, goal=no_target) for name, make in copies.items()),
    ]


def _copied(weights: forms.Weights) -> Maker:
    def make(n: int, m: int, side: int) -> Job:
        given = weights(n, m, side)
        return Job(Job(lambda: None, given).copying(), given)

    return make


def proofs() -> list[Case]:
    certified = partial(mask, return_certificate=True)
    dtypes = ("float32", "float16", "int8")
    return [
        Case("certificate", f"`return_certificate=True`, {dtype}",
             on(certified, forms.of_dtype(dtype)), goal=a_quarter)
        for dtype in dtypes
    ]  # fmt: skip


@lru_cache
def _folder() -> Path:
    """Make a folder for files, in memory where the system offers it; it goes at the end."""
    folder = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _save(weights: Array, found: Array, n: int, m: int) -> None:
    checkpoint.save_masks(_folder() / "masks.safetensors", {"weight": found})


def _read(n: int, m: int, side: int) -> Job:
    given = forms.square(n, m, side)
    _save(given, tnm.transposable_mask(given, n, m), n, m)
    return Job(partial(checkpoint.read_masks, _folder() / "masks.safetensors"), given)


def files() -> list[Case]:
    return [
        Case("files", "`save_masks`", _masked(_save), goal=million(1500)),
        Case("files", "`read_masks`", _read, goal=million(1500)),
    ]


def around_cases() -> list[Case]:
    return [*rowwise(), *checks(), *sums(), *packing(), *proofs(), *files()]
