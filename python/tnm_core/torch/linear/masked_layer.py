"""What layers with a mask and packed weights share, apart from the shape of their input."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.torch.layers import mask_of_zeros, note_right, wants_plain_state
from tnm_core.torch.linear.backends import BackendName
from tnm_core.torch.linear.mask_checks import (
    check_layer_mask,
    check_mask_shape,
    check_tiles_fit,
    optimal_mask,
)
from tnm_core.torch.linear.packed_layer import PackedLayer
from tnm_core.torch.linear.products import masked_product
from tnm_core.torch.linear.speed_table import SpeedTable
from tnm_core.torch.linear.weight_layout import as_matrix, like_weight
from tnm_core.torch.tensors import keep, keep_


class MaskedLayer(PackedLayer):
    """A layer that multiplies by ``weight * mask``; to be mixed into its class.

    Attributes
    ----------
    mask : Tensor of bool, shape of `weight`
        What is kept; change it with `set_mask`.
    tnm_masked_weight : bool
        True: marks modules whose weight is masked.
    """

    tnm_masked_weight = True

    def _prepare_masking(
        self,
        pattern: Pattern,
        *,
        mask: torch.Tensor | None = None,
        backend: BackendName = "auto",
        compute_dtype: torch.dtype | None = None,
        masked_gradient: bool = False,
        name: str = "",
        speeds: SpeedTable | None = None,
    ) -> None:
        """Take mask, the optimal one by default, and options, once there is a weight; and pack."""
        self.layer_name = name
        pattern = as_pattern(pattern, transposable=self.transposable)
        check_tiles_fit((self.out_features, self.in_features), pattern.m, self._owner)
        self._prepare_packing(
            pattern,
            backend=backend,
            compute_dtype=_floating(compute_dtype, self._owner),
            name=name,
            speeds=speeds,
        )
        self.masked_gradient = bool(masked_gradient)
        if mask is not None:
            self._check_mask(mask, self._owner)
        if not self._dense.is_meta:
            self._take_mask(self._optimal_mask() if mask is None else mask)

    def _optimal_mask(self) -> torch.Tensor:
        try:
            return self._optimal_mask_of(self._dense)
        except ValueError as error:
            raise ValueError(f"{self._owner}: no mask for its weight: {error}") from None

    def _check_mask(self, mask: torch.Tensor, owner: str) -> None:
        check_mask_shape(mask, tuple(self._dense.shape), owner)
        matrix = as_matrix(mask, self.layout)
        check_layer_mask(matrix, tuple(matrix.shape), self.pattern, owner)

    def masked_weight(self) -> torch.Tensor:
        """Return the weight with zeros where the mask drops, differentiable."""
        self._check_held_mask()
        return keep(self._dense, self.mask)

    @torch.no_grad()
    def to_dense(self) -> nn.Module:
        """Return an ordinary layer with the same Parameters, of which dropped entries become zero.

        `remove_sparsity_` does so with all layers of a model.
        """
        self._check_held_mask()
        keep_(self._dense, self.mask)
        dense: Any = self._empty_dense()
        dense.weight, dense.bias = self.weight, self.bias
        dense.training = self.training
        return cast(nn.Module, dense)

    def _empty_dense(self) -> nn.Module:
        """Make the ordinary layer of this kind, with Parameters that are going to be replaced."""
        raise NotImplementedError

    def set_mask(self, mask: torch.Tensor, *, validate: bool = True) -> None:
        """Take another mask and pack anew.

        Parameters
        ----------
        mask : Tensor of bool, shape of the weight
            A mask of the layer's pattern, on any device.
        validate : bool
            Check the pattern. False is for masks straight from `transposable_mask` or `nm_mask`: on
            a GPU it saves waiting for the check.

        Raises
        ------
        TypeError, ValueError
            If it is something else; the layer keeps its mask.
        """
        if validate:
            self._check_mask(mask, self._owner)
        else:
            check_mask_shape(mask, tuple(self._dense.shape), self._owner)
        self._take_mask(mask)

    def _product(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply: (..., in_features) to (..., out_features), packed first if there is reason."""
        dtype = self._product_dtype()
        if dtype is None:
            dtype = self._dense.dtype
        else:
            input = input.to(dtype)
        self._check_input(input, dtype)
        if not torch.compiler.is_compiling():
            self._check_held_mask()
            self._prepare(dtype, both=torch.is_grad_enabled() and input.requires_grad)
        bias = cast("torch.Tensor | None", self.bias)
        return self._multiply(input, None if bias is None else bias.to(dtype))

    def extra_repr(self) -> str:
        """Say what multiplies, and why."""
        active = self._choice.backend or "nothing yet"
        shown = active if active == self.backend else f"{self.backend} -> {active}"
        reason = "" if active == self.backend else f" ({self._choice.reason})"
        return f"{super().extra_repr()}, pattern={self.pattern}, backend={shown}{reason}"

    def _multiply(
        self, rows: torch.Tensor, bias: torch.Tensor | None, *, transposed: bool = False
    ) -> torch.Tensor:
        """Multiply by what is packed, of the weight or of its transpose."""
        return masked_product(
            rows,
            self._dense,
            self.mask,
            bias,
            self._packed_pair,
            self.n,
            self.m,
            self.transposable,
            self._choice.backend or self.backend,
            layout=self.layout,
            transposed=transposed,
            masked_gradient=self.masked_gradient,
            keeps_masked=not self._packs_at_every_forward,
        )

    @torch.no_grad()
    def _take_mask(self, mask: torch.Tensor) -> None:
        self.mask.copy_(mask)
        note_right(self, self.mask)
        self.repack()

    def _check_input(self, input: torch.Tensor, dtype: torch.dtype) -> None:
        if input.dim() == 0 or input.shape[-1] != self.in_features:
            raise ValueError(
                f"{self._owner}: input has shape {tuple(input.shape)}, expected "
                f"(..., {self.in_features})"
            )
        if input.dtype != dtype:
            raise TypeError(
                f"{self._owner}: input has dtype {input.dtype}, expected the weight's {dtype}; "
                "convert it, run under torch.autocast, or give compute_dtype"
            )

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if wants_plain_state():
            destination[f"{prefix}weight"] = self.masked_weight().detach()
            del destination[f"{prefix}mask"]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        self._find_mask_of_plain_state(state_dict, prefix, others[-1])
        mask = state_dict.get(f"{prefix}mask")
        if mask is not None and tuple(mask.shape) == tuple(self.mask.shape):
            owner = self.layer_name or prefix.rstrip(".") or self._owner
            try:
                self._check_mask(mask, owner)
            except (TypeError, ValueError) as error:
                others[-1].append(str(error))  # the errors that load_state_dict raises together
                return
        super()._load_from_state_dict(state_dict, prefix, *others)
        self._pack_if_possible()

    def _find_mask_of_plain_state(
        self, state: dict[str, Any], prefix: str, errors: list[str]
    ) -> None:
        """Add the mask to a state without one, where the zeros of the weight tell it."""
        weight = state.get(f"{prefix}weight")
        if f"{prefix}mask" in state or weight is None:
            return
        mask = mask_of_zeros(f"{prefix}weight", weight, self.mask, self._optimal_mask_of, errors)
        if mask is not None:
            state[f"{prefix}mask"] = mask

    def _optimal_mask_of(self, weight: torch.Tensor) -> torch.Tensor:
        mask = optimal_mask(as_matrix(weight, self.layout), self.pattern)
        return like_weight(mask, weight, self.layout)


def as_layer_pattern(n: PatternLike | int, m: int | None, *, transposable: bool) -> Pattern:
    """Read n and m, of which m is 4 if it is not given, or a pattern, for a kind of layer."""
    is_whole = isinstance(n, (Pattern, str, tuple, list))
    return as_pattern(n, 4 if m is None and not is_whole else m, transposable=transposable)


def _floating(dtype: torch.dtype | None, owner: str) -> torch.dtype | None:
    if dtype is None or (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        return dtype
    raise TypeError(f"{owner}: compute_dtype is {dtype!r}, expected a floating-point torch.dtype")
