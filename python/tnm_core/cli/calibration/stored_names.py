"""Under which names a file holds the tensors of a model, as transformers renames some of them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, cast

import torch
from torch import nn

from tnm_core.checkpoint import SafetensorsFile


def stored_names(model: nn.Module, saved: SafetensorsFile) -> dict[str, str]:
    """Return the names in a file, by those in a model; what has another name goes by its bytes.

    Tensors that are stored in another form, in parts or turned, are left out.
    """
    state = model.state_dict()
    known = {name: name for name in state if name in saved.tensors}
    searched = {name: tensor for name, tensor in state.items() if name not in known}
    return known | _same_bytes(searched, saved, saved.tensors.keys() - state.keys())


def _same_bytes(
    searched: Mapping[str, torch.Tensor], saved: SafetensorsFile, others: Iterable[str]
) -> dict[str, str]:
    shapes = {tuple(tensor.shape) for tensor in searched.values()}
    by_digest = {
        (saved.tensors[name].shape, _stored_digest(saved, name)): name
        for name in others
        if saved.tensors[name].shape in shapes
    }
    found = {
        name: by_digest.get((tuple(tensor.shape), _digest(tensor)))
        for name, tensor in searched.items()
    }
    return {name: stored for name, stored in found.items() if stored is not None}


def _digest(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).digest()


class _Digest(io.RawIOBase):
    """A file that keeps nothing but the digest of what is written to it."""

    def __init__(self) -> None:
        self.found = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.found.update(data)
        return memoryview(data).nbytes


def _stored_digest(saved: SafetensorsFile, name: str) -> bytes:
    out = _Digest()
    saved.copy_bytes(name, cast(BinaryIO, out))
    return out.found.digest()
