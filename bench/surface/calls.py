"""The calls whose surface is measured."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tnm_core as tnm
from bench.surface import weights as forms
from bench.surface.case import Array, Job, Maker, on

THREADS = 1


def mask(weights: Array, n: int, m: int, threads: int = THREADS, **options: Any) -> object:
    return tnm.transposable_mask(weights, n, m, threads=threads, **options)


def row_mask(weights: Array, n: int, m: int, **options: Any) -> object:
    return tnm.nm_mask(weights, n, m, threads=THREADS, **options)


def headline(n: int, m: int, side: int) -> Job:
    """Return the job that all others are compared with."""
    return on(mask, forms.square)(n, m, side)


def with_out(weights: forms.Weights, order: str = "C", **options: Any) -> Maker:
    """Make a case whose mask goes to an array that is there already, in an order of axes."""

    def make(n: int, m: int, side: int) -> Job:
        given = weights(n, m, side)
        out = np.zeros(given.shape, dtype=np.bool_, order="F" if order == "F" else "C")
        out.fill(False)  # touches its pages
        return Job(partial(mask, given, n, m, out=out, **options), given)

    return make
