"""The boundary to bytes of strangers: what parsers raise becomes one `CheckpointError`.

Parsers of this package and of the standard library fail in many ways on damaged input. Here these
are put into one, and what a parser let through is validated: JSON, shapes, names, arrays.
"""

from __future__ import annotations

import gc
import json
import lzma
import math
import re
import reprlib
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.limits import (
    MAX_ARRAY_BYTES,
    MAX_AXES,
    MAX_JSON_COMMAS,
    MAX_JSON_DEPTH,
    MAX_NAME_LENGTH,
    MAX_TENSORS,
)

# UnicodeError and JSONDecodeError are ValueErrors. OSError stays what it is, for a disk may fail.
PARSER_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    EOFError,
    NotImplementedError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MOST_DIGITS = 20  # 2**64 has them
_SHOWN = 200  # characters of what a parser says


@contextmanager
def parsing(what: str, expected: str) -> Iterator[None]:
    """Turn what parsers raise into `CheckpointError`: "what (reason); expected".

    For calls into parsers alone: an error of the code around them must stay what it is.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what parsers think of odd but valid input
            yield
    except CheckpointError:
        raise
    except PARSER_ERRORS as error:
        told = " ".join(str(error).split())[:_SHOWN] or type(error).__name__
        raise CheckpointError(f"{what} ({told}); {expected}") from None


def read_json(text: bytes | str, label: str, expected: str) -> Any:
    """Decode strict JSON.

    Each key stands once in its object, numbers are finite and of at most 20 digits, text is whole
    Unicode: what is read can be written again and means the same to every reader. The number of
    values is bounded, and so is the memory that they take.
    """
    with parsing(f"{label} is not valid JSON", expected):
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        if decoded.count(",") > MAX_JSON_COMMAS:
            raise ValueError(f"it has more than {MAX_JSON_COMMAS} commas")
        with no_collection():
            value: Any = json.loads(
                decoded,
                object_pairs_hook=_JsonObjects(),
                parse_constant=_refuse_constant,
                parse_int=_as_int,
                parse_float=_as_float,
            )
        if _SURROGATE.search(decoded):
            check_unicode(json.dumps(value, ensure_ascii=False))
    return value


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from looking, again and again, at what is being built.

    Half of the time for a header of 100,000 tensors would be its.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _JsonObjects:
    """Build JSON objects, so many at most, in which every key stands once."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._count += 1
        if self._count > MAX_TENSORS + 2:  # one for each tensor, for metadata, and the whole
            raise ValueError(f"it describes more than {MAX_TENSORS} tensors")
        fields = dict(pairs)
        if len(fields) != len(pairs):
            ((name, count),) = Counter(name for name, _ in pairs).most_common(1)
            raise ValueError(f"it names {name!r} {'twice' if count == 2 else f'{count} times'}")
        return fields


def check_depth(value: Any, label: str) -> None:
    """Check that decoded JSON is nested no deeper than what writes it again can follow."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [inside for outer in level for inside in _members(outer)]
        if not level:
            return
    raise CheckpointError(f"{label} is nested more than {MAX_JSON_DEPTH} deep; it is damaged")


def _members(value: Any) -> list[Any]:
    """List what a container holds, if that is a container again."""
    members = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)):
        return []
    return [member for member in members if isinstance(member, (dict, list))]


def check_unicode(text: str) -> None:
    """Check that a text can be written as UTF-8: half of a surrogate pair cannot."""
    text.encode()


def as_shape(value: object, itemsize: int, label: str) -> tuple[int, ...]:
    """Check the shape of an array that NumPy is to hold.

    Raises
    ------
    CheckpointError
        If it is not a list of whole numbers from 0, has more axes than NumPy allows, or its
        entries of ``itemsize`` bytes could not be addressed.
    """
    problem = _problem_of_shape(value, itemsize)
    if problem is not None:
        told = reprlib.repr(value)
        raise CheckpointError(f"{label} is damaged: shape {told}, expected {problem}")
    return tuple(cast("Sequence[int]", value))


def _problem_of_shape(value: object, itemsize: int) -> str | None:
    """Tell what a shape should be and is not."""
    if not isinstance(value, (list, tuple)) or any(type(side) is not int for side in value):
        return "a list of whole numbers"
    if len(value) > MAX_AXES:
        return f"at most {MAX_AXES} axes, not {len(value)}"
    # NumPy multiplies the sides of an empty array, too, but for the zeros.
    entries = 1
    for side in value:
        if side < 0:
            return "no negative sides"
        entries *= side or 1
    if entries * max(itemsize, 1) > MAX_ARRAY_BYTES:
        return "one that memory could hold"
    return None


def read_shapes(text: str | None, label: str, expected: str) -> dict[str, tuple[int, ...]]:
    """Decode shapes by name, as files of masks and of packed matrices keep them in metadata."""
    shapes = read_json(text or "", f"{label} is damaged: the entry of its shapes", expected)
    if not isinstance(shapes, dict):
        raise CheckpointError(f"{label} is damaged: its shapes are not an object; {expected}")
    label = f"{label} ({expected})"
    return {name: as_shape(shape, 1, f"{label}: {name!r}") for name, shape in shapes.items()}


def check_name_lengths(names: Iterable[str], label: str) -> None:
    """Check that names of tensors are not too long to work with."""
    for name in names:
        if len(name) > MAX_NAME_LENGTH:
            raise CheckpointError(
                f"{label}: the name of a tensor has {len(name)} characters ({name[:40]!r}...); "
                f"expected at most {MAX_NAME_LENGTH}"
            )


def as_array(
    data: NDArray[np.uint8], dtype: np.dtype[Any], shape: tuple[int, ...], label: str
) -> NDArray[Any]:
    """View bytes as an array; those of bool must be 0 or 1, for NumPy counts on it."""
    if dtype == np.bool_ and data.size and data.max() > 1:
        raise CheckpointError(
            f"{label} is of dtype bool and holds the byte {data.max()}; expected 0 or 1: it is "
            "damaged, write it again"
        )
    return data.view(dtype).reshape(shape)


def _as_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _as_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:_MOST_DIGITS]} is too large")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}")
