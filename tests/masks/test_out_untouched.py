"""A call that fails leaves `out` as it was, wherever and however it was being written."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import tnm_core as tnm
from tests.support.arrays import make_array
from tests.support.interrupts import interrupt

SHAPE = (2, 260, 523)
Bools = NDArray[np.bool_]
OUT_LAYOUTS: dict[str, Callable[[Bools], Bools]] = {
    "C": lambda flags: flags.copy(),
    "transposed": lambda flags: np.ascontiguousarray(np.moveaxis(flags, 1, 2)).swapaxes(1, 2),
    "backwards": lambda flags: flags[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
    "every second": lambda flags: np.repeat(flags, 2, axis=2)[:, :, ::2],
}


def _check(
    solver: Callable[..., object],
    bad: tuple[int, int, int],
    dtype: str = "float32",
    layout: str = "c",
    out_layout: str = "C",
    **options: object,
) -> None:
    array = make_array(SHAPE, dtype, layout=layout)
    array[bad] = np.nan
    before = make_array(SHAPE, "bool", seed=3)
    out = OUT_LAYOUTS[out_layout](before)
    with pytest.raises(ValueError, match=", ".join(map(str, bad))):
        solver(array, out=out, **options)
    np.testing.assert_array_equal(out, before)
    array[bad] = 1.0
    assert solver(array, out=out, **options) is out
    assert (out != before).any()


@pytest.mark.parametrize("bad", [(0, 0, 0), (0, 130, 260), (1, 255, 511), (1, 259, 522)])
@pytest.mark.parametrize("layout", ["c", "transposed"])
@pytest.mark.parametrize("m", [4, 8, 12, 64, 128])
def test_patterns(m: int, layout: str, bad: tuple[int, int, int]) -> None:
    def solver(array: NDArray[np.float32], out: Bools) -> Bools:
        return tnm.transposable_mask(array, m // 2, m, out=out, threads=1)

    _check(solver, bad, layout=layout)


@pytest.mark.parametrize("out_layout", OUT_LAYOUTS)
@pytest.mark.parametrize("layout", ["c", "transposed", "sliced"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("m", [4, 16])
def test_layouts_and_threads(m: int, threads: int, layout: str, out_layout: str) -> None:
    def solver(array: NDArray[np.float32], out: Bools) -> Bools:
        return tnm.transposable_mask(array, m // 2, m, out=out, threads=threads)

    _check(solver, (1, 255, 511), layout=layout, out_layout=out_layout)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtypes(dtype: str) -> None:
    def solver(array: NDArray[np.float32], out: Bools) -> Bools:
        return tnm.transposable_mask(array, 2, 4, out=out)

    _check(solver, (1, 200, 333), dtype)


@pytest.mark.parametrize("method", ["two_approximation", "greedy"])
def test_methods(method: str) -> None:
    def solver(array: NDArray[np.float32], out: Bools) -> Bools:
        return tnm.transposable_mask(array, 2, 8, out=out, method=method)  # type: ignore[arg-type]

    _check(solver, (1, 200, 333))


@pytest.mark.parametrize("m", [8, 96])
@pytest.mark.parametrize("axis", [-1, -2])
def test_row_wise(axis: int, m: int) -> None:
    def solver(array: NDArray[np.float32], out: Bools) -> Bools:
        return tnm.nm_mask(array, 2, m, axis=axis, out=out)

    _check(solver, (1, 259, 522))


def test_certificate() -> None:
    array = make_array(SHAPE, "float32")
    array[1, 259, 522] = np.inf
    out = np.ones(SHAPE, bool)
    with pytest.raises(ValueError, match="259, 522"):
        tnm.transposable_mask(array, 2, 4, out=out, return_certificate=True)
    assert out.all()


@pytest.mark.parametrize("shape", [(3000, 4), (5, 700, 3, 4), (4, 3000), (1, 1), (2, 3, 4)])
def test_shapes(shape: tuple[int, ...]) -> None:
    array = make_array(shape, "float32")
    array[(-1,) * len(shape)] = np.nan
    before = make_array(shape, "bool", seed=3)
    wide = np.zeros((*shape[:-1], shape[-1] + 3), bool)
    for out in (before.copy(), before.copy(order="F"), wide[..., : shape[-1]]):
        out[...] = before
        with pytest.raises(ValueError, match="nan"):
            tnm.transposable_mask(array, 2, 4, out=out)
        np.testing.assert_array_equal(out, before)
    assert not wide[..., shape[-1] :].any()


@pytest.mark.parametrize("step", [1, 2])
def test_flags_that_are_neither_0_nor_1(step: int) -> None:
    memory = np.random.default_rng(0).integers(0, 256, (256, 512 * step), dtype=np.uint8)
    before = memory.copy()
    array = make_array((256, 512), "float32")
    array[255, 511] = np.inf
    with pytest.raises(ValueError, match="255, 511"):
        tnm.transposable_mask(array, 2, 4, out=memory.view(bool)[:, ::step])
    np.testing.assert_array_equal(memory, before)


# One call of a minute: the same row of scores again and again.
INTERRUPTED_CALL = """
    import sys
    import numpy as np
    import tnm_core as tnm

    row = np.random.default_rng(0).standard_normal(2**14)
    out = np.zeros((2**15, 2**14), bool)
    out[::2] = True
    print("started", flush=True)
    try:
        tnm.transposable_mask(np.broadcast_to(row, out.shape), 64, 128, out=out, threads=1)
    except KeyboardInterrupt:
        print(out[::2].all(), out[1::2].any(), flush=True)
        sys.exit(3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent differently on Windows")
def test_ctrl_c() -> None:
    output, errors, returncode = interrupt(textwrap.dedent(INTERRUPTED_CALL), timeout=60)
    assert output == "True False\n", errors
    assert returncode == 3
