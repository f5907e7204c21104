"""Transposable masks of weights that are hard: ties, zeros, signs and wide ranges."""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.surface import weights as forms
from bench.surface.calls import mask
from bench.surface.case import Case, on
from bench.surface.target import hard_values

SHARES = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
KINDS = {
    "12 decades": forms.of_kind("decades"),
    "log-normal, sigma 3": forms.log_normal,
    "Student t, 2.5 degrees of freedom": forms.of_kind("student"),
    "one outlier of 10^6 in 1000": forms.with_outliers,
    "denormal numbers": forms.changed(lambda w: w * np.float32(1e-40)),
    "rounded to a grid of 1/20": forms.changed(lambda w: np.rint(w * 20) / 20),
    "rounded to a grid of 1/4": forms.changed(lambda w: np.rint(w * 4) / 4),
    "integers 0..7": forms.of_kind("integers"),
    "binary": forms.of_kind("binary"),
    "constant": forms.of_kind("constant"),
    "all zero": forms.changed(np.zeros_like),
    "zeros but for n/m + .02": forms.of_kind("inflated"),
    "zeros at random, 70 %": forms.of_kind("zeros"),
    "masked n:m before": forms.pruned_before,
}
SIGNED = {
    "1/20": lambda w: np.rint(w * 20) / 20,
    "signs": np.sign,
}


def value_cases() -> list[Case]:
    kinds = KINDS | {
        f"{100 * share:.0f} % zeros, the smallest": forms.smallest_zero(share) for share in SHARES
    }
    signed = partial(mask, score="identity")
    return [
        *(Case("values", name, on(mask, made), goal=hard_values) for name, made in kinds.items()),
        Case("values", "`identity` of a grid of 1/20",
             on(signed, forms.changed(SIGNED["1/20"])), goal=hard_values),
        Case("values", "`identity` of -1 and 1",
             on(signed, forms.changed(SIGNED["signs"])), goal=hard_values),
    ]  # fmt: skip
