"""Telling whether a model and its batches are the same as in another run: digests of contents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

_LENGTH = 32  # of 64 digits of SHA-256


def digest_of_model(model: nn.Module) -> str:
    """Return a digest of names, dtypes, shapes and values of all parameters and buffers."""
    return _digest(model.state_dict())


def digest_of_batches(batches: Iterable[Any]) -> str:
    """Return a digest of batches in their order; tensors, arrays and plain values count."""
    return _digest(batches)


def _digest(given: Any) -> str:
    found = hashlib.sha256()
    for part in _parts(given):
        found.update(part)
    return found.hexdigest()[:_LENGTH]


def _parts(given: Any) -> Iterator[Any]:
    """Yield bytes that tell a value from others, lengths and kinds included."""
    if isinstance(given, torch.Tensor):
        yield f"tensor {given.dtype} {tuple(given.shape)};".encode()
        flat = given.detach().cpu().contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy()
    elif isinstance(given, np.ndarray):
        yield f"array {given.dtype} {given.shape};".encode()
        yield np.ascontiguousarray(given).tobytes()
    elif given is None or isinstance(given, (bool, int, float, complex, str, bytes)):
        text = repr(given)
        yield f"{type(given).__name__} {len(text)} {text};".encode()
    elif isinstance(given, Mapping):
        yield f"mapping {len(given)};".encode()
        for key, value in given.items():
            yield from _parts(key)
            yield from _parts(value)
    elif isinstance(given, Iterable):
        yield b"sequence;"
        for value in given:
            yield from _parts(value)
        yield b"end;"
    else:
        yield f"object {type(given).__qualname__};".encode()
        yield from _parts(getattr(given, "__dict__", {}))
