"""Ways to multiply by a masked weight, by name, and the choice among them."""

from __future__ import annotations

from tnm_core.torch.linear.backends.base import Backend
from tnm_core.torch.linear.backends.by_name import BACKENDS, BackendName, as_backend_name
from tnm_core.torch.linear.backends.choice import Choice, choose_backend

__all__ = ["BACKENDS", "Backend", "BackendName", "Choice", "as_backend_name", "choose_backend"]
