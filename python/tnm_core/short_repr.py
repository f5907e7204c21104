"""What results look like at a prompt: a line, whatever the size of the arrays that they hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["short_repr"]

_FEW = 6  # numbers or names that are spelt out, such as a shape
_LETTERS = 72


def short_repr(self: Any) -> str:
    """Stand in for ``__repr__`` of a dataclass or a named tuple: arrays by dtype and shape.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> tnm.compress(np.eye(8), np.eye(8, dtype=bool), "2:4")
    Compressed(values=<float64 (8, 4)>, indices=<uint8 (8, 4)>, n=2, m=4, axis=-1, shape=(8, 8))
    """
    names = getattr(self, "_fields", None) or [field.name for field in dataclasses.fields(self)]
    told = (f"{name}={_shown(getattr(self, name))}" for name in names)
    return f"{type(self).__name__}({', '.join(told)})"


def _shown(value: Any) -> str:
    """Spell out what is short, and count what is not."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"<{value.dtype} {tuple(value.shape)}>"
    if isinstance(value, Mapping):
        return f"<{len(value)} by name>"
    if isinstance(value, tuple | list | set | frozenset):
        few = len(value) <= _FEW and all(isinstance(one, int | float | str) for one in value)
        if few and len(repr(value)) <= _LETTERS:
            return repr(value)
        return f"<{len(value)}{_kind(value)}>"
    told = repr(value)
    return told if len(told) <= _LETTERS else f"{told[: _LETTERS - 1]}…"


def _kind(values: Any) -> str:
    kinds = {type(one).__name__ for one in values}
    return f" {kinds.pop()}" if len(kinds) == 1 else ""
