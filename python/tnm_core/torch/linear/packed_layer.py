"""A layer that keeps its masked weight packed, and packs it anew when there is reason to."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.torch.layers import WeightAxes, checked_mask, is_changed
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
from tnm_core.torch.linear.packing import Packed, PackedPair, nothing_packed
from tnm_core.torch.linear.speed_table import SpeedTable
from tnm_core.torch.linear.weight_layout import Layout, as_matrix
from tnm_core.torch.tensors import is_sharded

PACKED = ("packed_values", "packed_indices", "packed_t_values", "packed_t_indices")


class PackedLayer(nn.Module):
    """Weight, mask and packed forms of a layer, without its product; to be mixed into its class.

    Packed forms are buffers that are not saved. They follow what moves, copies and loads modules.
    The form of the transpose, which input gradients alone need, is made in training, or when such
    a gradient is wanted; of a row-wise mask, whose transpose has no pattern, it is never made.

    Attributes
    ----------
    layout : Layout
        How the weight is read as a matrix of `out_features` x `in_features`.
    transposable : bool
        Whether masks of the class obey their pattern along rows and columns, or along rows alone.
    """

    layout: Layout = "out_in"
    transposable = True
    in_features: int
    out_features: int
    mask: torch.Tensor
    packed_values: torch.Tensor
    packed_indices: torch.Tensor
    packed_t_values: torch.Tensor
    packed_t_indices: torch.Tensor
    _choice: Choice
    _packed_for: torch.dtype | None

    def _prepare_packing(
        self,
        pattern: Pattern,
        *,
        backend: BackendName,
        compute_dtype: torch.dtype | None,
        name: str,
        speeds: SpeedTable | None,
    ) -> None:
        """Take the options of packing, once there is a weight."""
        self.n, self.m = pattern.n, pattern.m
        self.layer_name = name
        self.backend: BackendName = as_backend_name(backend)
        self.compute_dtype = compute_dtype
        self._speeds = speeds
        # Under FSDP the weight is gathered anew into the same storage, and no counter moves.
        self._packs_at_every_forward = False
        if self.backend != "auto":
            spec = self._spec(self._dense.dtype)
            reason = BACKENDS[self.backend].unsupported_reason(spec)
            if reason:
                raise ValueError(
                    f"{self._owner}: {backend} cannot multiply: {reason}; take another backend"
                )
        self.register_buffer("mask", torch.zeros_like(self._dense, dtype=torch.bool))
        for buffer in PACKED:
            self.register_buffer(buffer, None, persistent=False)
        self._unpack("not packed yet")

    @property
    def pattern(self) -> Pattern:
        """What the mask obeys."""
        return Pattern(self.n, self.m, self.transposable)

    @property
    def weight_axes(self) -> WeightAxes:
        """How weight and mask, as they are stored, are read as a matrix."""
        return WeightAxes(input_axis=0 if self.layout == "in_out" else 1)

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
        a shard of FSDP, which the forward pass packs once it is gathered. On the CPU the values are
        written where they belong if the mask is the same, which takes a small part of the time.
        """
        self._pack(self._packed_dtype(), self.training)

    @outside_of_graphs
    def repack_if_changed(self) -> None:
        """Do the same unless weight and mask are those that are packed, as far as is known.

        What is written through ``weight.data`` is not noticed.
        """
        if self._packed_for is None or self._packs_at_every_forward or self._is_outdated():
            self.repack()

    def train(self, mode: bool = True) -> PackedLayer:
        """Choose between training and evaluation; training has the transpose packed."""
        super().train(mode)
        if mode and self._lacks_transpose:
            self.repack()
        return self

    @property
    def _dense(self) -> torch.Tensor:
        # Classes of layers say differently what their weight is.
        return cast(torch.Tensor, self.weight)

    def _spec(self, dtype: torch.dtype) -> LinearSpec:
        sides = (self.out_features, self.in_features)
        return LinearSpec(*sides, self.pattern, self._dense.device, dtype)

    @property
    def _owner(self) -> str:
        kind = type(self).__name__
        return self.layer_name or f"{kind}({self.in_features}, {self.out_features})"

    @property
    def _packed_pair(self) -> PackedPair:
        values, indices, values_t, indices_t = (getattr(self, buffer) for buffer in PACKED)
        return Packed(values, indices), Packed(values_t, indices_t)

    @property
    def _has_transpose(self) -> bool:
        return self.packed_t_values.numel() > 0

    @property
    def _lacks_transpose(self) -> bool:
        """Whether the weight is packed alone, and its transpose might be."""
        return self.transposable and self.packed_values.numel() > 0 and not self._has_transpose

    def _product_dtype(self) -> torch.dtype | None:
        """Return the dtype to which inputs are cast; None if they have to come in the weight's."""
        if self.compute_dtype is not None:
            return self.compute_dtype
        kind = self._dense.device.type
        if self._dense.dtype != torch.float64 and torch.is_autocast_enabled(kind):
            return torch.get_autocast_dtype(kind)
        return None

    def _packed_dtype(self) -> torch.dtype:
        """Tell in which dtype to pack when no input is at hand: as last time."""
        return self._packed_for or self.compute_dtype or self._dense.dtype

    def _prepare(self, dtype: torch.dtype, both: bool = True) -> None:
        """Pack if there is reason to, or say why that cannot be; `both` for input gradients."""
        if (
            self._packed_for != dtype
            or self._packs_at_every_forward
            or self._is_outdated()
            or (both and self._lacks_transpose)
        ):
            # A graph may hold what another forward pass since the last step has packed.
            fresh = self._packs_at_every_forward and torch.is_grad_enabled()
            self._pack(dtype, both or self.training, fresh=fresh)
        if self._choice.backend is None:
            raise ValueError(
                f"{self._owner}: {self.backend} cannot multiply: {self._choice.reason}, "
                "or take backend='auto'"
            )

    def _check_held_mask(self) -> None:
        """Refuse to multiply by a mask that somebody has changed and that breaks the pattern."""
        if is_changed(self, self.mask):
            checked_mask(self, self.mask, self.pattern, self.weight_axes, self._owner)

    def _is_outdated(self) -> bool:
        """Tell whether what is packed is not, or may not be, the present weight and mask."""
        if not self.packed_values.numel():
            return False
        source = packed_from(self.packed_values)
        return source is None or not source.is_current(self._dense, self.mask)

    @torch.no_grad()
    def _pack(self, dtype: torch.dtype, both: bool, *, fresh: bool = False) -> None:
        """Pack into the memory of what is outdated, or into fresh one if that is asked for."""
        if is_sharded(self._dense):
            self._packs_at_every_forward = True
            self._unpack("the weight is sharded: packed when it is gathered")
            return
        if self._dense.is_meta:
            self._unpack("the weight is on the device meta")
            return
        self._check_held_mask()
        spec = self._spec(dtype)
        before, self._choice = self._choice, choose_backend(self.backend, spec, self._speeds)
        if self._choice.backend is None:
            self._unpack(self._choice.reason)
            return
        both = self.transposable and (both or self._has_transpose)
        is_alike = (self._packed_for, self._has_transpose) == (dtype, both)
        is_alike = is_alike and before.backend == self._choice.backend
        # What still is the weight and its mask may be in a graph: it is left as it is.
        fresh = fresh or (not is_alike and self._packed_for is not None and not self._is_outdated())
        with torch.inference_mode(False):
            weight = as_matrix(self._dense.detach(), self.layout).to(dtype)
            if fresh or not (is_alike and self._update(weight)):
                mask = as_matrix(self.mask, self.layout)
                backend = BACKENDS[self._choice.backend]
                self._store(*backend.pack(weight, mask, spec, both=both), fresh=fresh)
        self._packed_for = dtype
        remember(self.packed_values, self._dense, self.mask, self._owner)

    def _update(self, weight: torch.Tensor) -> bool:
        """Write other values of the mask that is packed; False if that cannot be."""
        source = packed_from(self.packed_values)
        if source is None or not source.is_of_mask(self.mask):
            return False
        return BACKENDS[self._choice.backend or self.backend].update_(self._packed_pair, weight)

    def _store(self, packed: Packed, packed_t: Packed, *, fresh: bool) -> None:
        """Write into the memory that earlier packed forms have, where they are alike."""
        for buffer, tensor in zip(PACKED, (*packed, *packed_t), strict=True):
            present = getattr(self, buffer)
            alike = (
                present.shape == tensor.shape
                and present.dtype == tensor.dtype
                and present.device == tensor.device
                and not fresh
                and tensor.numel()
            )
            if alike:
                present.copy_(tensor)
            else:
                setattr(self, buffer, tensor)

    def _unpack(self, reason: str) -> None:
        self._choice, self._packed_for = Choice(None, reason), None
        with torch.inference_mode(False):
            packed, packed_t = nothing_packed(self.mask, self._dense.dtype)
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

    def _apply(self, fn: Any, recurse: bool = True) -> PackedLayer:
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
