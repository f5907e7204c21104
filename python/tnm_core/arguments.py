"""Checking arguments, once, where they come in."""

from __future__ import annotations

import operator
import os
import sys
from typing import Any, Literal, NamedTuple, NoReturn, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core

Score = Literal["abs", "square", "identity"]
Method = Literal["optimal", "two_approximation", "greedy"]
_SCORES, _METHODS = get_args(Score), get_args(Method)

# Nobody has more to gain from more, and the system may refuse them.
MOST_THREADS = 1024
_ENTRIES_WORTH_A_THREAD = 65536

_NATIVE_NAMES = (
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *(f"float{bits}" for bits in (16, 32, 64)),
)
_NATIVE_DTYPES: dict[np.dtype[Any], str] = {np.dtype(name): name for name in _NATIVE_NAMES}
_DTYPE_NAMES = "bool, integers of 8 to 64 bits, float16, bfloat16, float32, float64"
_FLOATING = frozenset({"float16", "bfloat16", "float32", "float64"})


class ScoreArray(NamedTuple):
    """An array as the compiled core reads it: bfloat16 is shown as uint16."""

    data: NDArray[Any]
    dtype: str

    @property
    def is_floating(self) -> bool:
        """Whether elements can be NaN or infinite."""
        return self.dtype in _FLOATING


def as_array(value: ArrayLike, name: str = "array", for_tensors: str = "") -> NDArray[Any]:
    """View what NumPy can view, and say how to convert the rest.

    Of a tensor that NumPy cannot view the error names what of `tnm_core.torch` can. Masked entries
    are refused: the view would show what lies beneath them.
    """
    if type(value) is np.ndarray:
        return value
    for part in value if isinstance(value, (list, tuple)) else (value,):
        if np.ma.isMaskedArray(part) and np.ma.is_masked(part):
            raise ValueError(
                f"{name} is a masked array with {np.ma.getmaskarray(part).sum()} masked entries, "
                "expected a plain one: fill them first, for example with .filled(0), or pass its "
                ".data to have them read all the same"
            )
    try:
        data = np.asarray(value)
    except (TypeError, RuntimeError):
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(value, torch.Tensor):
            raise
        raise _tensor_error(value, name, for_tensors) from None
    if data.dtype == np.object_ and not isinstance(value, np.ndarray):
        raise TypeError(f"{name} {_why_not_viewed(value, data)}")
    return data


def _why_not_viewed(value: Any, objects: NDArray[Any]) -> str:
    """Say why NumPy shows something as Python objects, and how to convert it."""
    kind = type(value)
    known = f"is a {kind.__module__.partition('.')[0]} {kind.__name__}, which NumPy cannot view"
    if value is None:
        return "is None, expected an array"
    if objects.ndim:
        odd = next(
            (one for one in objects.flat if not isinstance(one, (int, float))), objects.flat[0]
        )
        return f"holds {odd!r:.60}, expected numbers of one dtype"
    if hasattr(value, "toarray"):
        return f"{known}, expected a dense array: pass its .toarray()"
    if hasattr(value, "__dlpack__"):
        return f"{known}, expected an array: pass numpy.from_dlpack of it"
    return f"{known}, expected an array"


def _tensor_error(tensor: Any, name: str, for_tensors: str) -> TypeError:
    """Say how to go on with a tensor that NumPy cannot view."""
    import torch

    kind = type(tensor).__name__
    if tensor.device.type == "meta":
        return TypeError(
            f"{name} is a torch {kind} on the device meta, which holds no data; expected an array: "
            "load it first"
        )
    bfloat16 = ".float()" if tensor.dtype == torch.bfloat16 else ""
    strided = tensor.layout == torch.strided
    dense = "" if strided else ".to_dense()"
    layout = "" if strided else f", {tensor.layout}"
    gradient = " that requires grad" if tensor.requires_grad else ""
    use = f"use {for_tensors}, or " if for_tensors else ""
    return TypeError(
        f"{name} is a torch {kind}{gradient}, {tensor.dtype}{layout}, on "
        f"{tensor.device}, expected an array that NumPy can view: {use}convert it first, with "
        f"{name}.detach().cpu(){dense}{bfloat16}.numpy()"
    )


def as_score_array(array: ArrayLike, *, least_ndim: int = 2, for_tensors: str = "") -> ScoreArray:
    """View anything that NumPy can view; only a foreign byte order costs a copy."""
    data = as_array(array, for_tensors=for_tensors)
    name = _NATIVE_DTYPES.get(data.dtype)
    if name is None:
        data, name = _convert_dtype(data)
    if data.ndim < least_ndim:
        raise ValueError(
            f"array has {data.ndim} axes (shape {data.shape}), expected at least {least_ndim}: "
            "the last two are the matrix; reshape it first"
        )
    return ScoreArray(data, name)


def _convert_dtype(data: NDArray[Any]) -> tuple[NDArray[Any], str]:
    if data.dtype.name == "bfloat16":
        return data.view(np.uint16), "bfloat16"
    native = data.dtype.newbyteorder("=")
    if native in _NATIVE_DTYPES:
        return data.astype(native), _NATIVE_DTYPES[native]
    raise TypeError(
        f"array has dtype {data.dtype}, expected one of {_DTYPE_NAMES}; "
        "convert it first, for example with array.astype(np.float64)"
    )


def as_mask(mask: ArrayLike) -> NDArray[np.bool_]:
    """View a mask of bool, or of integers 0 and 1, as bool."""
    flags = as_array(mask, "mask")
    if flags.dtype.kind in "iu":
        if flags.size and not np.isin(flags, (0, 1)).all():
            raise ValueError("mask holds integers other than 0 and 1; pass a mask, such as w != 0")
        flags = flags.astype(np.bool_)
    if flags.dtype == np.bool_:
        flags = plain_flags(flags)
    else:
        raise TypeError(
            f"mask has dtype {flags.dtype}, expected bool, or integers 0 and 1; "
            "pass a mask, such as w != 0"
        )
    if flags.ndim < 2:
        raise ValueError(
            f"mask has {flags.ndim} axes (shape {flags.shape}), expected at least 2; "
            "reshape it first"
        )
    return flags


def plain_flags(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return flags whose bytes are 0 and 1, as all code that reads masks expects.

    A view of other bytes as bool may hold any; what is not zero is true.
    """
    stored = flags.view(np.uint8)
    return stored != 0 if stored.size and stored.max() > 1 else flags


def as_threads(requested: int | None, entries: int) -> int:
    """Use the number asked for, else as many as the machine offers and the work is worth.

    More than 1024 are taken as 1024.
    """
    if requested is None:
        worthwhile = entries // _ENTRIES_WORTH_A_THREAD
        return 1 if worthwhile <= 1 else min(available_cpus(), worthwhile)
    number = as_integer("threads", requested)
    if number < 1:
        raise ValueError(f"threads is {number}, expected at least 1, or None for all cores")
    return min(number, MOST_THREADS)


def as_integer(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Return an int for what stands for one (no bool, no float), from `least` to `most`."""
    number: int = value if type(value) is int else _as_index(name, value)
    if least is not None and (number < least or (most is not None and number > most)):
        expected = f"at least {least}" if most is None else f"{least} <= {name} <= {most}"
        raise ValueError(f"{name} is {number}, expected {expected}")
    return number


def _as_index(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value} (bool), expected an integer")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} is {value!r} ({type(value).__name__}), expected an integer"
        ) from None


def available_cpus() -> int:
    """Count the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def as_choice(name: str, value: Any, choices: tuple[str, ...]) -> Any:
    """Return one of several names."""
    if value in choices:
        return value
    expected = ", ".join(repr(choice) for choice in choices)
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{name} is {value!r}, expected one of {expected}")


def as_score(score: str) -> Score:
    """Return the name of a score by which entries are ranked."""
    return as_choice("score", score, _SCORES)  # type: ignore[no-any-return]


def as_method(method: str) -> Method:
    """Return the name of a way to find a transposable mask."""
    return as_choice("method", method, _METHODS)  # type: ignore[no-any-return]


def as_axis(axis: int, ndim: int) -> int:
    """Return the axis as a number from 0 to ndim - 1."""
    number = as_integer("axis", axis)
    if not -ndim <= number < ndim:
        raise ValueError(f"axis is {number}, expected -{ndim} <= axis < {ndim} for {ndim} axes")
    return number % ndim


def with_axis_last(array: NDArray[Any], axis: int) -> NDArray[Any]:
    """View an array as rows along one axis, from 0 to ndim - 1; np.moveaxis takes 5 us."""
    last = array.ndim - 1
    if axis < last:
        array = array.transpose(*range(axis), *range(axis + 1, last + 1), axis)
    return array if last > 0 else array[np.newaxis]


def as_output(out: NDArray[np.bool_] | None, array: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where the mask goes: a new array, or `out` if it can take it."""
    if out is None:
        return np.empty(array.shape, dtype=np.bool_)
    check_output(out, array.shape, np.dtype(np.bool_), {"the array": array})
    return out


def check_output(
    out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any], inputs: dict[str, NDArray[Any]]
) -> None:
    """Raise unless a result may be written there while the named inputs are read."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}, expected a NumPy array of dtype {dtype}")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}, expected {dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}, the shape of the result")
    if not out.flags.writeable:
        raise ValueError("out is read-only, expected a writeable array; pass a copy of it")
    if 0 in out.strides and out.size > 0 and _repeats_elements(out):
        raise ValueError("out repeats elements (a stride of 0), expected one element per entry")
    for name, array in inputs.items():
        if np.shares_memory(out, array):
            raise ValueError(f"out overlaps {name}, expected separate memory; pass another out")


def _repeats_elements(array: NDArray[Any]) -> bool:
    return any(
        step == 0 and size > 1 for step, size in zip(array.strides, array.shape, strict=True)
    )


def check_finite(array: ScoreArray, threads: int) -> None:
    """Raise for the first element in C order that is NaN or infinite."""
    if not array.is_floating:
        return
    data = np.atleast_2d(array.data)
    position = _core.find_non_finite(data, array.dtype, threads)
    if position is None:
        return
    index = tuple(int(i) for i in np.unravel_index(position, array.data.shape))
    value = array.data[index]
    if array.dtype == "bfloat16":
        value = (np.uint32(value) << np.uint32(16)).view(np.float32)
    if np.isfinite(value):
        raise _changing_array()
    raise ValueError(
        f"array[{_spell(index)}] is {value}, expected finite scores; "
        "replace such entries first, for example with np.nan_to_num"
    )


def refuse_non_finite(array: ScoreArray, threads: int) -> NoReturn:
    """Raise because the core met a score that is NaN or infinite, whatever the array holds now."""
    check_finite(array, threads)
    raise _changing_array()


def _changing_array() -> ValueError:
    return ValueError(
        "array held a NaN or an infinity while it was read and holds none now: another thread "
        "writes to it; expected an array that stays as it is, pass a copy"
    )


def _spell(index: tuple[int, ...]) -> str:
    return ", ".join(str(i) for i in index)
