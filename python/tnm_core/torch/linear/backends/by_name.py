"""The back ends, by name."""

from __future__ import annotations

from typing import Literal, get_args

from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.backends.cusparselt import CusparseltBackend
from tnm_core.torch.linear.backends.dense import DenseBackend
from tnm_core.torch.linear.backends.emulate import EmulateBackend

BackendName = Literal["auto", "cusparselt", "dense", "emulate"]

BACKENDS: dict[str, Backend] = {
    "cusparselt": CusparseltBackend(),
    "dense": DenseBackend(),
    "emulate": EmulateBackend(),
}


def as_backend_name(name: str) -> BackendName:
    """Check the name of a back end, or ``"auto"``."""
    names = get_args(BackendName)
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"backend is {name!r}, expected one of {', '.join(map(repr, names))}")
    return name  # type: ignore[return-value]
