"""Products of every shape, mask, dtype and layout against float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

import tnm_core as tnm
from tests.support.arrays import LAYOUTS, make_array, with_layout
from tests.support.products.assertions import (
    FLUSHING,
    SMALLEST_NORMAL,
    UNIT,
    assert_product_close,
)
from tests.support.products.cases import (
    DTYPES,
    MASKS,
    ProductCase,
    check_product,
    make_mask,
    pack_any,
    product_cases,
    tail_cases,
)
from tests.support.products.references import masked_product


@settings(max_examples=300)
@given(product_cases())
def test_anything(case: ProductCase) -> None:
    check_product(case)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_tail(dtype: str) -> None:
    for case in tail_cases(dtype):
        check_product(case)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("tokens", [1, 3, 6, 8, 20, 70])
def test_every_mask_and_number_of_vectors(mask: str, tokens: int) -> None:
    for dtype in DTYPES:
        for backward in (False, True):
            check_product(ProductCase(70, 150, (tokens,), dtype, mask, backward=backward))


@pytest.mark.parametrize("tokens", range(1, 21))
def test_few_tokens_and_many(tokens: int) -> None:
    """Wherever the change from one form to the other is, both sides of it are right."""
    for dtype in DTYPES:
        check_product(ProductCase(130, 600, (tokens,), dtype, "16:32", seed=tokens))
        check_product(ProductCase(130, 65, (tokens,), dtype, "tenth", seed=tokens))


def test_every_word_of_eight_bits_in_every_place() -> None:
    """Moving kept values to their lanes is a table of 8 bits, or a loop over set bits."""
    bits = np.arange(256)[:, np.newaxis] >> np.arange(8) & 1
    mask = np.concatenate([np.roll(bits, 31 * k, axis=0) for k in range(10)], axis=1).astype(bool)
    weights = make_array(mask.shape, "float32")
    for tokens in (1, 2, 5, 9, 30):
        for dtype in DTYPES:
            x = make_array((tokens, mask.shape[1]), dtype, seed=tokens)
            typed = weights.astype(x.dtype)
            packed = tnm.pack(typed, mask)
            assert_product_close(x @ packed.T, x, typed, mask)


def test_matrices_of_several_pieces() -> None:
    """More rows than one piece of work holds, more columns than few tokens take at once."""
    for shape in [(2100, 40), (40, 2100), (1088, 1030)]:
        for tokens in (1, 5, 33):
            for backward in (False, True):
                check_product(ProductCase(*shape, (tokens,), "float32", "1:8", backward=backward))


# ---- activations of every layout ------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lead", [(5,), (70,), (2, 3), (3, 2, 9), (1, 1, 1, 4)])
def test_layouts_and_leading_axes(layout: str, lead: tuple[int, ...]) -> None:
    for dtype in DTYPES:
        check_product(ProductCase(37, 90, lead, dtype, x_layout=layout))


def _strided(x: np.ndarray) -> dict[str, np.ndarray]:
    every_other = np.repeat(x, 2, axis=-1)[..., ::2]
    return {
        "every other column": every_other,
        "columns backwards": x[..., ::-1],
        "tokens backwards": x[:, ::-1],
        "everything backwards": x[::-1, ::-1, ::-1],
        "every third token": x[:, ::3],
        "a batch that is not contiguous": np.repeat(x, 2, axis=0)[::2],
        "batch and tokens exchanged": x.swapaxes(0, 1),
        "one column over and over": np.broadcast_to(x[..., :1], x.shape),
        "one token over and over": np.broadcast_to(x[:, :1], x.shape),
        "one matrix over and over": np.broadcast_to(x[:1], x.shape),
        "one vector": x[0, 0],
        "one vector backwards": x[0, 0, ::-1],
        "every other entry of a vector": every_other[0, 0],
        "one entry over and over": np.broadcast_to(x[0, 0, :1], x.shape[-1:]),
    }


@pytest.mark.parametrize("tokens", [4, 7, 30])
@pytest.mark.parametrize("dtype", DTYPES)
def test_strides(dtype: str, tokens: int) -> None:
    weights, mask = make_array((21, 75), dtype), make_mask("half", (21, 75))
    packed = tnm.pack(weights, mask)
    for name, x in _strided(make_array((2, tokens, 75), dtype, seed=1)).items():
        before = x.copy()
        try:
            assert_product_close(x @ packed.T, x, weights, mask)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("tokens", [3, 20])
@pytest.mark.parametrize("dtype", DTYPES)
def test_out_of_any_layout_and_nothing_beside_it(dtype: str, tokens: int) -> None:
    weights, mask = make_array((30, 50), dtype), make_mask("half", (30, 50))
    packed = tnm.pack(weights, mask)
    x = make_array((2, tokens, 50), dtype, seed=1)
    expected = x @ packed.T
    room = np.full((4, 2 * tokens + 3, 100), 9, dtype=x.dtype)
    outs = {
        "inner rows": np.s_[1:3, 2 : tokens + 2, 20:50],
        "every other row": np.s_[:2, 1 : 2 * tokens + 1 : 2, :30],
        "every third column": np.s_[:2, :tokens, 5:95:3],
        "backwards": np.s_[2:0:-1, tokens:0:-1, 40:10:-1],
    }
    for name, place in outs.items():
        memory = room.copy()
        out = memory[place]
        assert tnm.matmul(x, packed.T, out=out) is out
        np.testing.assert_array_equal(out, expected, err_msg=name)
        out[...] = 9
        np.testing.assert_array_equal(memory, room, err_msg=name)


def test_fortran_out() -> None:
    packed = tnm.pack(make_array((30, 50)), make_mask("half", (30, 50)))
    x = make_array((20, 50), seed=1)
    out = np.zeros((20, 30), dtype=np.float32, order="F")
    np.testing.assert_array_equal(tnm.matmul(x, packed.T, out=out), x @ packed.T)


# ---- what a product is ------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_all_numbers_of_16_bits(dtype: str) -> None:
    """The identity gives back every number, NaN as NaN, from both forms of the product."""
    numbers = np.arange(65536, dtype=np.uint16).view(make_array((1, 1), dtype).dtype)
    packed = tnm.pack(np.eye(256, dtype=numbers.dtype))
    rows = numbers.reshape(256, 256)
    for x, y in [(rows, rows @ packed.T), (rows, np.stack([row @ packed.T for row in rows]))]:
        # Among NaN are some that NumPy warns of.
        with np.errstate(invalid="ignore"):
            x32, y32 = x.astype(np.float32), y.astype(np.float32)
            if FLUSHING and dtype == "bfloat16":
                is_denormal = np.abs(x32) < SMALLEST_NORMAL
                assert (np.abs(y32[is_denormal]) < SMALLEST_NORMAL).all()
                x32[is_denormal] = y32[is_denormal] = 0
            np.testing.assert_array_equal(y32, x32)
    columns = with_layout(rows, "transposed")
    assert (columns @ packed.T).tobytes() == (rows @ packed.T).tobytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("tokens", [1, 40])
def test_sums_are_rounded_once(dtype: str, tokens: int) -> None:
    """To the nearest, ties to even, what is exact in float32."""
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 9, size=(tokens, 60)).astype(make_array((1, 1), dtype).dtype)
    weights = rng.integers(-600, 600, size=(90, 60)).astype(x.dtype)
    mask = make_mask("half", weights.shape)
    exact = masked_product(x, weights, mask)
    assert (np.abs(exact) > 2048).any()
    expected = exact.astype(np.float32).astype(x.dtype)
    np.testing.assert_array_equal(x @ tnm.pack(weights, mask).T, expected)


@pytest.mark.parametrize("tokens", [1, 4, 30])
@pytest.mark.parametrize("mask", ["16:32", "tenth", "full"])
def test_input_gradient_is_the_adjoint(mask: str, tokens: int) -> None:
    """The gradient of sum(c * (x @ packed.T)) by x is c @ packed: both sums agree."""
    weights, kept = make_array((70, 90)), make_mask(mask, (70, 90))
    packed = pack_any(weights, kept)
    x, c = make_array((tokens, 90), seed=1), make_array((tokens, 70), seed=2)
    forward = (c.astype(float) * (x @ packed.T)).sum()
    backward = ((c @ packed).astype(float) * x).sum()
    magnitudes = np.abs(c).astype(float) @ np.abs(weights * kept) @ np.abs(x).T
    assert abs(forward - backward) <= 2 * 95 * UNIT * np.trace(magnitudes)


@pytest.mark.parametrize("tokens", [2, 11])
def test_input_gradient_by_differences(tokens: int) -> None:
    """Of a smooth function of the product; steps are powers of two, so sums are exact enough."""
    weights, kept = make_array((20, 30)), make_mask("half", (20, 30))
    packed = tnm.pack(weights, kept)
    x = make_array((tokens, 30), seed=1)

    def loss(point: np.ndarray) -> float:
        return float(np.square((point @ packed.T).astype(float)).sum())

    gradient = (2 * (x @ packed.T)) @ packed
    step = 2.0**-5
    for index in [(0, 0), (tokens - 1, 29), (tokens // 2, 17)]:
        moved = np.zeros_like(x)
        moved[index] = step
        difference = (loss(x + moved) - loss(x - moved)) / (2 * step)
        assert difference == pytest.approx(gradient[index], rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("tokens", [1, 6, 8, 9, 90, 200])
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_matter(dtype: str, tokens: int) -> None:
    """Bit for bit, where there are fewer pieces than threads, and many more."""
    for rows, columns in [(1, 70), (64, 64), (300, 200), (1500, 130)]:
        case = ProductCase(rows, columns, (tokens,), dtype, bias="float32", activation="gelu")
        packed = tnm.pack(*case.matrix())
        for one in (case, replace(case, backward=True)):
            alone = tnm.matmul(
                one.activations(), packed if one.backward else packed.T, **one.options()
            )
            for threads in (2, 3, 4, 5, 16, None):
                options = {**one.options(), "threads": threads}
                by = packed if one.backward else packed.T
                together = tnm.matmul(one.activations(), by, **options)
                assert together.tobytes() == alone.tobytes()


def test_same_call_same_bits() -> None:
    case = ProductCase(200, 300, (50,), bias="float32")
    packed = tnm.pack(*case.matrix())
    x = case.activations()
    once = x @ packed.T
    assert all((x.copy() @ packed.copy().T).tobytes() == once.tobytes() for _ in range(5))
