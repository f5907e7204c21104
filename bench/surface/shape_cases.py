"""Transposable masks of matrices of every shape, alone, in batches and in convolutions."""

from __future__ import annotations

from bench.surface import weights as forms
from bench.surface.calls import mask
from bench.surface.case import Case, on

SHAPES: dict[str, tuple[int | str, ...]] = {
    "one tile": ("m", "m"),
    "64 x 64": (64, 64),
    "256 x 256": (256, 256),
    "1024 x 1024": (1024, 1024),
    "768 x 3072": (768, 3072),
    "1023 x 1025 (edge tiles)": (1023, 1025),
    "100 x 100 (edge tiles)": (100, 100),
    "16 columns": ("rest", 16),
    "64 columns": ("rest", 64),
    "m columns": ("rest", "m"),
    "16 rows": (16, "rest"),
    "64 rows": (64, "rest"),
    "m rows": ("m", "rest"),
}
BATCHES: dict[str, tuple[int | str, ...]] = {
    "batch of tiles (B, m, m)": ("rest", "m", "m"),
    "batch of 16 x 16": ("rest", 16, 16),
    "batch of 100 x 100 (edge tiles)": ("rest", 100, 100),
    "batch of heads (B, 64, 64)": ("rest", 64, 64),
    "batch of 36 layers, 384 x 384": (36, 384, 384),
    "batch of experts (64, 256, 128)": (64, 256, 128),
}
CONVOLUTIONS = {
    "3 x 3 as `transpose(2, 3, 0, 1)`": forms.convolution(3),
    "1 x 1 as `transpose(2, 3, 0, 1)`": forms.convolution(1),
    "3 x 3 in 8 groups, as `transpose(2, 3, 0, 1)`": forms.convolution(3, groups=8),
    "3 x 3, channels last": forms.channels_last,
    "3 x 3 as (out, in 9)": forms.flattened,
}


def shape_cases() -> list[Case]:
    shapes = [Case("shape", name, on(mask, forms.shaped(*sizes))) for name, sizes in SHAPES.items()]
    shapes += [Case("shape", "8192 x 8192", on(mask, forms.enlarged(4)))]
    batches = [
        Case("batch", name, on(mask, forms.shaped(*sizes))) for name, sizes in BATCHES.items()
    ]
    convolutions = [
        Case("convolution", name, on(mask, made)) for name, made in CONVOLUTIONS.items()
    ]
    return shapes + batches + convolutions
