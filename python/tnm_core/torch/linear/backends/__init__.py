"""Ways to multiply by a masked weight, by name, and the choice among them."""

from __future__ import annotations

from tnm_core.torch.linear.backends.choice import (
    BACKENDS,
    BackendName,
    Choice,
    as_backend_name,
    choose_backend,
)
from tnm_core.torch.linear.backends.cpu_rule import why_dense_is_faster
from tnm_core.torch.linear.backends.cusparselt import known_algorithms

__all__ = [
    "BACKENDS",
    "BackendName",
    "Choice",
    "as_backend_name",
    "choose_backend",
    "known_algorithms",
    "why_dense_is_faster",
]
