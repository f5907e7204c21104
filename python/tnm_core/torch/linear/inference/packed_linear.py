"""Layers that hold nothing of their weight but its packed form, for inference on the CPU."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from tnm_core.torch.layers import wants_plain_state
from tnm_core.torch.linear.inference.packed_product import packed_product, unpacked_matrix
from tnm_core.torch.linear.inference.saved_matrix import BITS, VALUES, restore, save
from tnm_core.torch.linear.kinds import channels_first, channels_last
from tnm_core.torch.linear.packed_buffers import DTYPES, pack_matrix, unpack_matrix
from tnm_core.torch.linear.weight_layout import Layout, like_weight


class PackedLinear(nn.Module):
    """``Y = X Wᵀ + b`` with a W of which only the packed form is kept; `pack_for_inference_`.

    Parameters
    ----------
    shape : tuple of int
        That of the dense weight.
    bias : Parameter, optional
        The bias.
    dtype : torch.dtype
        float32, bfloat16 or float16: the dtype of the packed values, and of products.
    layout : {"out_in", "in_out"}
        How the dense weight was stored.
    casts : bool
        Cast inputs of other dtypes, and outputs back; else such inputs are an error.
    name : str
        What errors call the layer.

    Attributes
    ----------
    weight : Tensor
        The dense weight with its zeros, made anew at every look at it, without a gradient.
    tnm_packed_weight : bool
        True: marks modules that have no dense weight.

    Notes
    -----
    The ``state_dict`` holds the kept values in order of rows as ``weight_values``, and one bit for
    each entry, whether it is kept, as ``weight_bits``.

    Gradients pass to the input and the bias. That by the input is a dense product.
    """

    tnm_packed_weight = True

    packed: torch.Tensor | None
    bias: nn.Parameter | None

    def __init__(
        self,
        shape: tuple[int, ...],
        bias: nn.Parameter | None,
        dtype: torch.dtype,
        *,
        layout: Layout = "out_in",
        casts: bool = False,
        name: str = "",
    ) -> None:
        super().__init__()
        sides = shape[:2] if layout == "out_in" else shape[1::-1]
        self.out_features, self.in_features = sides
        self.shape, self.layout, self.dtype, self.casts = tuple(shape), layout, dtype, casts
        self.layer_name = name
        self.register_buffer("packed", None, persistent=False)
        self.register_parameter("bias", bias)

    @torch.no_grad()
    def pack(self, matrix: torch.Tensor, mask: torch.Tensor) -> None:
        """Take a matrix (out, in) of any floating dtype, and what is kept of it."""
        self.packed = pack_matrix(matrix.detach().to(self.dtype), mask)

    @property
    def weight(self) -> torch.Tensor:
        """The dense weight with its zeros."""
        matrix = unpacked_matrix(self._bytes, self.out_features, self.in_features, self.dtype)
        like = torch.empty(self.shape, device="meta")
        return like_weight(matrix, like, self.layout)

    @property
    def mask(self) -> torch.Tensor:
        """What is kept, in the shape of the weight."""
        mask = unpack_matrix(self._bytes)[1]
        return like_weight(mask, torch.empty(self.shape, device="meta"), self.layout)

    @torch.no_grad()
    def to_dense(self) -> nn.Module:
        """Return an ordinary layer with the dense weight, in a Parameter of its own.

        `remove_sparsity_` does so with all layers of a model.
        """
        dense = self._empty_dense()
        dense.weight, dense.bias = nn.Parameter(self.weight.clone()), self.bias
        dense.training = self.training
        return cast(nn.Module, dense)

    def _empty_dense(self) -> Any:
        if self.layout == "out_in":
            return nn.Linear(self.in_features, self.out_features, False, device="meta")
        from transformers import pytorch_utils

        make: Any = pytorch_utils.Conv1D
        with torch.device("meta"):
            return make(self.out_features, self.in_features)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply: (..., in_features) to (..., out_features).

        Under autocast the result has its dtype, and the product is computed in that of the packed
        values.
        """
        return self._product(input)

    def extra_repr(self) -> str:
        """Say what is packed."""
        shape = " x ".join(map(str, self.shape))
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{shape}, bias={self.bias is not None}, {dtype}, packed={self.packed is not None}"

    @property
    def _bytes(self) -> torch.Tensor:
        if self.packed is None:
            raise RuntimeError(f"{self._owner} has no weight yet, expected load_state_dict before")
        return self.packed

    @property
    def _owner(self) -> str:
        return self.layer_name or f"{type(self).__name__}({self.in_features}, {self.out_features})"

    def _product(self, rows: torch.Tensor) -> torch.Tensor:
        dtype = rows.dtype
        if dtype != self.dtype or torch.is_autocast_enabled("cpu"):
            rows, dtype = self._cast(rows)
        if rows.shape[-1:] != (self.in_features,):
            raise ValueError(
                f"{self._owner}: input has shape {tuple(rows.shape)}, expected "
                f"(..., {self.in_features})"
            )
        # Not as attributes, which cost as much as a tenth of a small product.
        packed, bias = self._buffers["packed"], self._parameters["bias"]
        if packed is None:
            packed = self._bytes
        sides = (self.out_features, self.in_features)
        result = packed_product(rows, packed, bias, sides)
        return result if result.dtype == dtype else result.to(dtype)

    def _cast(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.dtype]:
        """Return the input in the dtype of products, and the dtype of the result."""
        if torch.is_autocast_enabled("cpu"):
            return rows.to(self.dtype), torch.get_autocast_dtype("cpu")
        if not self.casts:
            raise TypeError(
                f"{self._owner}: input has dtype {rows.dtype}, expected that of the packed values, "
                f"{self.dtype}; convert the whole model, or give compute_dtype when packing"
            )
        return rows.to(self.dtype), rows.dtype

    # ---- what moves and saves modules ---------------------------------------

    def _apply(self, fn: Any, recurse: bool = True) -> PackedLinear:
        wanted = fn(torch.empty(0, dtype=self.dtype))
        if wanted.device.type != "cpu":
            raise RuntimeError(
                f"{self._owner} multiplies on the CPU alone, expected it to stay there and not to "
                f"move to {wanted.device}; convert the dense model with to_sparse_linear_ instead"
            )
        if wanted.dtype not in DTYPES.values():
            raise TypeError(
                f"{self._owner}: packed values cannot be {wanted.dtype}, expected float32, "
                "bfloat16 or float16"
            )
        # Bytes are neither cast nor moved.
        packed, self.packed = self.packed, None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.packed = packed
        if wanted.dtype != self.dtype:
            self.dtype = wanted.dtype
            if packed is not None:
                self.pack(*unpack_matrix(packed))
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if wants_plain_state():
            destination[f"{prefix}weight"] = self.weight
        elif self.packed is not None:
            values, bits = save(*unpack_matrix(self.packed))
            destination[prefix + VALUES], destination[prefix + BITS] = values, bits

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        others = (metadata, strict, missing, unexpected, errors)
        super()._load_from_state_dict(state_dict, prefix, *others)
        keys = [prefix + VALUES, prefix + BITS]
        unexpected[:] = [key for key in unexpected if key not in keys]
        absent = [key for key in keys if key not in state_dict]
        if absent:
            missing.extend(absent)
            return
        try:
            matrix, mask = restore(state_dict[keys[0]], state_dict[keys[1]], self._sides)
        except (TypeError, ValueError) as error:
            errors.append(f"{self.layer_name or prefix.rstrip('.')}: {error}")
            return
        self.pack(matrix, mask)

    @property
    def _sides(self) -> tuple[int, int]:
        return self.out_features, self.in_features


class PackedPointwise(PackedLinear):
    """A convolution with a kernel of one position, of which only the packed form is kept.

    Parameters
    ----------
    shape, bias, dtype, **options
        As for `PackedLinear`.
    stride : tuple of int
        Which positions count, along each axis of them.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        bias: nn.Parameter | None,
        dtype: torch.dtype,
        *,
        stride: tuple[int, ...],
        **options: Any,
    ) -> None:
        super().__init__(shape, bias, dtype, **options)
        # What else a convolution tells: code of models pads its input by these.
        self.stride, ones = tuple(stride), (1,) * len(stride)
        self.kernel_size, self.dilation, self.padding, self.groups = ones, ones, (0,) * len(ones), 1
        self.in_channels, self.out_channels = self.in_features, self.out_features

    def _empty_dense(self) -> Any:
        kind = nn.Conv1d if len(self.stride) == 1 else nn.Conv2d
        sides = (self.in_features, self.out_features)
        return kind(*sides, 1, stride=self.stride, device="meta")  # type: ignore[arg-type]

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply the channels at every position; images come out with channels last in memory."""
        return channels_first(self._product(channels_last(input, self.stride)), len(self.stride))
