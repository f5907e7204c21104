"""A linear layer that keeps its masked weight packed, and packs it anew when there is reason to."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.torch.linear.backends import (
    BACKENDS,
    BackendName,
    Choice,
    as_backend_name,
    choose_backend,
)
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.outside_of_graphs import outside_of_graphs
from tnm_core.torch.linear.packed_state import packed_from, remember
from tnm_core.torch.linear.packing import Packed, nothing_packed
from tnm_core.torch.linear.speed_table import SpeedTable
from tnm_core.torch.tensors import is_sharded

PACKED = ("packed_values", "packed_indices", "packed_t_values", "packed_t_indices")


class PackedLinear(nn.Linear):
    """Weight, mask and packed forms of a `TransposableLinear`, without its product.

    Packed forms are buffers that are not saved. They follow what moves, copies and loads modules.
    """

    mask: torch.Tensor
    packed_values: torch.Tensor
    packed_indices: torch.Tensor
    packed_t_values: torch.Tensor
    packed_t_indices: torch.Tensor
    _packed_for: torch.dtype | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool,
        pattern: Pattern,
        *,
        backend: BackendName,
        compute_dtype: torch.dtype | None,
        name: str,
        speeds: SpeedTable | None,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        self.n, self.m = pattern.n, pattern.m
        self.layer_name = name
        self.backend: BackendName = as_backend_name(backend)
        self.compute_dtype = compute_dtype
        self._speeds = speeds
        # Under FSDP the weight is gathered anew into the same storage, and no counter moves.
        self._packs_at_every_forward = False
        if self.backend != "auto":
            spec = LinearSpec.of(self, pattern, self.weight.dtype)
            reason = BACKENDS[self.backend].unsupported_reason(spec)
            if reason:
                raise ValueError(
                    f"{self._owner}: {backend} cannot multiply: {reason}; take another backend"
                )
        self.register_buffer("mask", torch.zeros_like(self.weight, dtype=torch.bool))
        for buffer in PACKED:
            self.register_buffer(buffer, None, persistent=False)
        self._unpack("not packed yet")

    @property
    def pattern(self) -> Pattern:
        """What the mask obeys."""
        return Pattern(self.n, self.m)

    @property
    def active_backend(self) -> str | None:
        """The back end that multiplies; None while the one asked for cannot be used."""
        return self._choice.backend

    @property
    def backend_reason(self) -> str:
        """Why `active_backend` is what it is."""
        return self._choice.reason

    @outside_of_graphs
    def repack(self) -> None:
        """Pack weight and mask as they are now; call it after every optimizer step.

        Buffers keep their memory, so that CUDA graphs may hold it. A weight that a back end cannot
        take as it is (its device, its dtype) stays unpacked, and the forward pass says why. So does
        a shard of FSDP, which the forward pass packs once it is gathered.
        """
        self._pack(self._packed_dtype())

    @property
    def _owner(self) -> str:
        return self.layer_name or f"TransposableLinear({self.in_features}, {self.out_features})"

    def _product_dtype(self) -> torch.dtype | None:
        """Return the dtype to which inputs are cast; None if they have to come in the weight's."""
        if self.compute_dtype is not None:
            return self.compute_dtype
        kind = self.weight.device.type
        if self.weight.dtype != torch.float64 and torch.is_autocast_enabled(kind):
            return torch.get_autocast_dtype(kind)
        return None

    def _packed_dtype(self) -> torch.dtype:
        """Tell in which dtype to pack when no input is at hand: as last time."""
        return self._packed_for or self.compute_dtype or self.weight.dtype

    def _prepare(self, dtype: torch.dtype) -> None:
        """Pack if there is reason to, or say why that cannot be."""
        if self._packed_for != dtype or self._packs_at_every_forward or self._is_outdated():
            self._pack(dtype)
        if self._choice.backend is None:
            raise ValueError(
                f"{self._owner}: {self.backend} cannot multiply: {self._choice.reason}, "
                "or take backend='auto'"
            )

    def _is_outdated(self) -> bool:
        """Tell whether what is packed is not, or may not be, the present weight and mask."""
        if not self.packed_values.numel():
            return False
        source = packed_from(self.packed_values)
        return source is None or not source.is_current(self.weight, self.mask)

    @torch.no_grad()
    def _pack(self, dtype: torch.dtype) -> None:
        if is_sharded(self.weight):
            self._packs_at_every_forward = True
            self._unpack("the weight is sharded: packed when it is gathered")
            return
        if self.weight.is_meta:
            self._unpack("the weight is on the device meta")
            return
        spec = LinearSpec.of(self, self.pattern, dtype)
        self._choice = choose_backend(self.backend, spec, self._speeds)
        if self._choice.backend is None:
            self._unpack(self._choice.reason)
            return
        with torch.inference_mode(False):
            weight = self.weight.detach().to(dtype)
            self._store(*BACKENDS[self._choice.backend].pack(weight, self.mask, spec))
        self._packed_for = dtype
        remember(self.packed_values, self.weight, self.mask, self._owner)

    def _store(self, packed: Packed, packed_t: Packed) -> None:
        """Write into the memory that earlier packed forms have, where they are alike."""
        for buffer, tensor in zip(PACKED, (*packed, *packed_t), strict=True):
            present = getattr(self, buffer)
            alike = (
                present.shape == tensor.shape
                and present.dtype == tensor.dtype
                and present.device == tensor.device
            )
            if alike:
                present.copy_(tensor)
            else:
                setattr(self, buffer, tensor)

    def _unpack(self, reason: str) -> None:
        self._choice, self._packed_for = Choice(None, reason), None
        packed, packed_t = nothing_packed(self.mask, self.weight.dtype)
        for buffer, tensor in zip(PACKED, (*packed, *packed_t), strict=True):
            setattr(self, buffer, tensor)

    def _pack_if_possible(self) -> None:
        """Pack what came from elsewhere; its mask may be memory that nobody has written yet."""
        try:
            self.repack()
        except ValueError as error:
            self._unpack(str(error))

    def _pack_anew(self) -> None:
        self._unpack("not packed yet")
        self._pack_if_possible()

    # ---- what moves and copies modules --------------------------------------

    def _apply(self, fn: Any, recurse: bool = True) -> PackedLinear:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._pack_anew()
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_buffers"] = {
            name: None if name in PACKED else buffer for name, buffer in self._buffers.items()
        }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._pack_anew()
