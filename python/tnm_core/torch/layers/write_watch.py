"""Finding writes into the masked weight that a layer shows, which is made anew at each look."""

from __future__ import annotations

import torch

from tnm_core.torch.layers.held_mask import is_readable


class WriteWatch:
    """Keeps the version counter of the weight that was shown last, without its memory.

    Initialisers and other operations in place move that counter; what is written through ``.data``
    or a NumPy view moves none, and is not found. Copies and pickles of it watch nothing.
    """

    def __init__(self) -> None:
        self._shown: torch.Tensor | None = None
        self._version = 0
        self._empty: torch.Tensor | None = None

    def __reduce__(self) -> tuple[type[WriteWatch], tuple[()]]:
        return WriteWatch, ()

    def show(self, weight: torch.Tensor) -> torch.Tensor:
        """Return this weight, and watch it from now on instead of the one before."""
        if is_readable(weight) and not torch.is_inference_mode_enabled():
            shown = weight.detach()
            # It shares the counter with the weight; with other data it no longer keeps the memory.
            shown.data = self._no_data(weight)
            self._shown, self._version = shown, weight._version
        return weight

    def _no_data(self, weight: torch.Tensor) -> torch.Tensor:
        empty = self._empty
        if empty is None or (empty.dtype, empty.device) != (weight.dtype, weight.device):
            self._empty = empty = weight.detach().new_empty(0)
        return empty

    def found_write(self) -> bool:
        """Tell once whether something was written into the weight that was shown last."""
        shown, self._shown = self._shown, None
        return shown is not None and shown._version != self._version
