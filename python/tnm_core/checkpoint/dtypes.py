"""Names of dtypes in safetensors files, and what NumPy (with ml_dtypes) calls them."""

from __future__ import annotations

from typing import Any

import numpy as np

_NUMPY = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
}
_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
_PRUNABLE = ("float16", "bfloat16", "float32", "float64")


def array_dtype(code: str) -> np.dtype[Any] | None:
    """Find the NumPy dtype for a safetensors code, little-endian; None if NumPy cannot hold it."""
    held: np.dtype[Any] | None = None
    if code in _NUMPY:
        held = np.dtype(_NUMPY[code]).newbyteorder("<")
    if code in _ML_DTYPES:
        try:
            import ml_dtypes
        except ImportError:
            return None
        held = np.dtype(getattr(ml_dtypes, _ML_DTYPES[code]))
    return held


def dtype_code(dtype: np.dtype[Any]) -> str | None:
    """Find the safetensors code for a NumPy dtype; None if the format cannot hold it."""
    return code_of_name(dtype.name)


def code_of_name(name: str) -> str | None:
    """Find the safetensors code for a dtype as NumPy, ml_dtypes and torch call it."""
    codes = {name: code for code, name in (_NUMPY | _ML_DTYPES).items()}
    return codes.get(name)


def dtype_label(code: str) -> str:
    """Spell a safetensors dtype for people."""
    return _NUMPY.get(code) or _ML_DTYPES.get(code) or code


def is_prunable(dtype: np.dtype[Any] | None) -> bool:
    """Tell whether a dtype is one of the floating-point types that masks are computed for."""
    return dtype is not None and str(dtype.name) in _PRUNABLE
