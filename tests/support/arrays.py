"""Arrays of every dtype, value distribution and memory layout that users have."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *INTEGERS, "bool")


def dtype_of(name: str) -> np.dtype:
    """Like `np.dtype`, and knows bfloat16."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice([-1.0, 1.0], size=shape)


# Each draws float64 values, given the largest finite value of the dtype and the step at its low
# end (the smallest denormal, or 1 for integers).
Draw = Callable[[np.random.Generator, tuple[int, ...], float, float], np.ndarray]
_DRAWS: dict[str, Draw] = {
    "normal": lambda rng, shape, _, step: rng.normal(size=shape) * (20 if step == 1 else 1),
    "student_t": lambda rng, shape, _, step: (
        np.clip(rng.standard_t(1.5, size=shape), -6e4, 6e4) * (5 if step == 1 else 1)
    ),
    "ties": lambda rng, shape, *_: rng.integers(0, 8, size=shape).astype(float),
    "sparse": lambda rng, shape, *_: (
        rng.integers(1, 100, size=shape) * (rng.random(shape) < 0.3).astype(float)
    ),
    "binary": lambda rng, shape, *_: rng.integers(0, 2, size=shape).astype(float),
    "constant": lambda rng, shape, *_: np.full(shape, float(rng.integers(0, 4))),
    "negative": lambda rng, shape, _, step: (
        -np.abs(rng.normal(size=shape)) * (20 if step == 1 else 1) - step
    ),
    "denormal": lambda rng, shape, _, step: rng.integers(-9, 10, size=shape) * step,
    "decades": lambda rng, shape, *_: _signs(rng, shape) * 10 ** rng.uniform(-8, 4, size=shape),
    "huge": lambda rng, shape, most, _: _signs(rng, shape) * most * rng.uniform(0.5, 1, size=shape),
}
DISTRIBUTIONS = tuple(_DRAWS)


def _limits(dtype: np.dtype) -> tuple[float, float, float]:
    """Lowest value, largest value and step at the low end."""
    if dtype == np.bool_:
        return 0.0, 1.0, 1.0
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        # The largest float64 that still converts back into the integer type.
        return float(info.min), float(np.nextafter(float(info.max), 0.0)), 1.0
    limits = ml_dtypes.finfo(dtype)
    most = float(limits.max)
    # Leave room in float64 for the sums of a 128 by 128 tile.
    return -most, most * 2.0**-18 if dtype == np.float64 else most, float(limits.smallest_subnormal)


def make_values(
    rng: np.random.Generator, shape: tuple[int, ...], dtype_name: str, distribution: str
) -> np.ndarray:
    """Draw C-ordered values of a dtype."""
    dtype = dtype_of(dtype_name)
    low, high, step = _limits(dtype)
    values = _DRAWS[distribution](rng, shape, high, step)
    if dtype == np.bool_:
        return values > (0.5 if distribution in ("ties", "constant") else 0)
    if dtype.kind in "iu":
        drawn = np.clip(np.rint(values), low, high).astype(dtype)
        if distribution == "huge" and drawn.size:
            # The extremes themselves: abs() of the lowest must not wrap around.
            drawn.flat[0], drawn.flat[-1] = np.iinfo(dtype).max, np.iinfo(dtype).min
        return drawn
    return np.clip(values, low, high).astype(dtype)


def _sliced(values: np.ndarray) -> np.ndarray:
    *batch, rows, columns = values.shape
    larger = np.zeros((*batch, 2 * rows + 1, 3 * columns + 2), dtype=values.dtype)
    window = larger[..., 1::2, 2::3]
    window[...] = values
    return window


def _negative_steps(values: np.ndarray) -> np.ndarray:
    return values[..., ::-1, ::-1].copy()[..., ::-1, ::-1]


def _transposed(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.swapaxes(-1, -2)).swapaxes(-1, -2)


def _read_only(values: np.ndarray) -> np.ndarray:
    copy = values.copy()
    copy.flags.writeable = False
    return copy


def _unaligned(values: np.ndarray) -> np.ndarray:
    buffer = np.zeros(values.nbytes + 1, dtype=np.uint8)
    shifted = np.frombuffer(buffer.data, values.dtype, values.size, offset=1)
    shifted = shifted.reshape(values.shape)
    shifted[...] = values
    return shifted


def _batch_last(values: np.ndarray) -> np.ndarray:
    """Batch axes innermost in memory, as in a convolution's weight seen per kernel position."""
    batch_axes = values.ndim - 2
    order = (batch_axes, batch_axes + 1, *range(batch_axes))
    return np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))


_LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "c": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "transposed": _transposed,
    "sliced": _sliced,
    "negative_steps": _negative_steps,
    "read_only": _read_only,
    "batch_last": _batch_last,
    "unaligned": _unaligned,
}
LAYOUTS = tuple(_LAYOUTS)


def with_layout(values: np.ndarray, layout: str) -> np.ndarray:
    """Give the same values with other strides, alignment or flags."""
    view = _LAYOUTS[layout](values)
    assert view.shape == values.shape
    return view


def make_array(
    shape: tuple[int, ...],
    dtype_name: str = "float32",
    distribution: str = "normal",
    seed: int = 0,
    layout: str = "c",
) -> np.ndarray:
    """Draw an array; the same arguments always give the same one."""
    rng = np.random.default_rng(seed)
    return with_layout(make_values(rng, shape, dtype_name, distribution), layout)
