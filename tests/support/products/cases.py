"""Products of every shape, mask, dtype and layout, each named by how it is made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tests.support.strategies  # noqa: F401 - the profile of all tests
import tnm_core as tnm
from tests.support.arrays import LAYOUTS, make_array, make_values, with_layout
from tests.support.products.assertions import assert_product_close
from tests.support.products.references import ACTIVATIONS

DTYPES = ("float32", "float16", "bfloat16")
# Around vectors of 4, 8 and 16, around a word of bits, a window of rows, and a piece of blocks.
SIDES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 130, 200)
TOKENS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 33, 40, 47, 49, 63, 65, 94, 97, 130)
DISTRIBUTIONS = ("normal", "normal", "ties", "sparse", "denormal", "decades", "constant")


def _one(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    if mask.size:
        mask.flat[rng.integers(mask.size)] = True
    return mask


def _n_of_m(n: int, m: int) -> Callable[[tuple[int, int], np.random.Generator], np.ndarray]:
    def draw(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        groups = -(-shape[1] // m)
        order = rng.random((shape[0], groups, m)).argsort(axis=-1)
        return (order < n).reshape(shape[0], groups * m)[:, : shape[1]]

    return draw


def _share(share: float) -> Callable[[tuple[int, int], np.random.Generator], np.ndarray]:
    return lambda shape, rng: rng.random(shape) < share


_MASKS: dict[str, Callable[[tuple[int, int], np.random.Generator], np.ndarray]] = {
    "empty": lambda shape, _: np.zeros(shape, dtype=bool),
    "full": lambda shape, _: np.ones(shape, dtype=bool),
    "one": _one,
    "2:4": _n_of_m(2, 4),
    "16:32": _n_of_m(16, 32),
    "1:8": _n_of_m(1, 8),
    "tenth": _share(0.1),
    "half": _share(0.5),
    "most": _share(0.9),
    "some rows": lambda shape, rng: np.repeat(rng.random((shape[0], 1)) < 0.5, shape[1], axis=1),
    "some columns": lambda shape, rng: np.repeat(rng.random((1, shape[1])) < 0.5, shape[0], axis=0),
}
MASKS = tuple(_MASKS)


def make_mask(kind: str, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Draw a mask; the same arguments always give the same one."""
    return _MASKS[kind](shape, np.random.default_rng(seed))


@dataclass(frozen=True)
class ProductCase:
    """One product by its recipe, so that a failing example prints as one line."""

    rows: int
    columns: int
    lead: tuple[int, ...]
    dtype: str = "float32"
    mask: str = "half"
    weights: str = "normal"
    x: str = "normal"
    weights_layout: str = "c"
    mask_layout: str = "c"
    x_layout: str = "c"
    out_layout: str | None = None
    bias: str | None = None
    activation: str | None = None
    backward: bool = False
    threads: int = 1
    seed: int = 0

    def matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """Build weights and mask."""
        shape = self.rows, self.columns
        weights = make_array(shape, self.dtype, self.weights, self.seed, self.weights_layout)
        return weights, with_layout(make_mask(self.mask, shape, self.seed), self.mask_layout)

    def activations(self) -> np.ndarray:
        """Build what is multiplied."""
        width = self.rows if self.backward else self.columns
        shape = (*self.lead, width) if self.lead else (1, width)
        x = make_array(shape, self.dtype, self.x, self.seed + 1, self.x_layout)
        return x if self.lead else x[0]

    def options(self) -> dict[str, Any]:
        """Build what else `matmul` takes."""
        width = self.columns if self.backward else self.rows
        rng = np.random.default_rng(self.seed + 2)
        bias = None if self.bias is None else make_values(rng, (width,), self.bias, "normal")
        return {"bias": bias, "activation": self.activation, "threads": self.threads}

    def out(self) -> np.ndarray | None:
        """Build where the result goes, unless that is left to `matmul`."""
        if self.out_layout is None:
            return None
        shape = (*(self.lead or (1,)), self.columns if self.backward else self.rows)
        out = make_array(shape, self.dtype, "normal", 9, self.out_layout)
        return out if self.lead else out[0]


def pack_any(weights: np.ndarray, mask: np.ndarray | None = None) -> tnm.PackedMatrix:
    """Pack, whatever the density."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the mask keeps", category=UserWarning)
        return tnm.pack(weights, mask)


def multiply(case: ProductCase, packed: tnm.PackedMatrix) -> np.ndarray:
    """Multiply as the recipe says."""
    out = case.out()
    by = packed if case.backward else packed.T
    result = tnm.matmul(case.activations(), by, out=out, **case.options())
    assert out is None or result is out
    return result


def check_product(case: ProductCase) -> None:
    """Pack, multiply, and compare with the definition."""
    weights, mask = case.matrix()
    options = case.options()
    del options["threads"]
    result = multiply(case, pack_any(weights, mask))
    assert result.dtype == weights.dtype
    oriented = (weights.T, mask.T) if case.backward else (weights, mask)
    assert_product_close(result, case.activations(), *oriented, **options)


@st.composite
def product_cases(draw: st.DrawFn) -> ProductCase:
    """Draw everything about one product."""
    tokens = draw(st.sampled_from(TOKENS))
    lead = draw(
        st.sampled_from(
            [(tokens,), (tokens,), (tokens,), (), (2, tokens // 2), (tokens // 3, 1, 3)]
        )
    )
    layouts = st.sampled_from(LAYOUTS)
    return ProductCase(
        rows=draw(st.sampled_from(SIDES)),
        columns=draw(st.sampled_from(SIDES)),
        lead=lead,
        dtype=draw(st.sampled_from(DTYPES)),
        mask=draw(st.sampled_from(MASKS)),
        weights=draw(st.sampled_from(DISTRIBUTIONS)),
        x=draw(st.sampled_from(DISTRIBUTIONS)),
        weights_layout=draw(layouts),
        mask_layout=draw(layouts),
        x_layout=draw(layouts),
        # What is read-only is refused.
        out_layout=draw(
            st.sampled_from([None, *(name for name in LAYOUTS if name != "read_only")])
        ),
        bias=draw(st.sampled_from([None, "float32", "float64", "float16", "bfloat16", "int32"])),
        activation=draw(st.sampled_from(list(ACTIVATIONS))),
        backward=draw(st.booleans()),
        threads=draw(st.integers(1, 5)),
        seed=draw(st.integers(0, 2**16)),
    )


def tail_cases(dtype: str) -> list[ProductCase]:
    """Every number of tokens, of rows and of columns once, with whatever comes around beside it."""
    cases = []
    for k, tokens in enumerate(TOKENS):
        rows, columns = SIDES[(7 * k + 3) % len(SIDES)], SIDES[(5 * k + 11) % len(SIDES)]
        case = ProductCase(rows, columns, (tokens,), dtype, MASKS[k % len(MASKS)], seed=k)
        cases.append(replace(case, bias="float32", activation=list(ACTIVATIONS)[k % 5]))
        cases.append(replace(case, rows=77, columns=530, x_layout=LAYOUTS[k % len(LAYOUTS)]))
    for k, side in enumerate(SIDES):
        tokens = TOKENS[(4 * k + 5) % len(TOKENS)]
        cases.append(ProductCase(side, 96, (tokens,), dtype, "2:4", seed=k, backward=k % 2 == 0))
        cases.append(ProductCase(96, side, (tokens,), dtype, "half", seed=k, out_layout="sliced"))
    return cases
