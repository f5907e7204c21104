"""A linear layer with a transposable N:M mask, whose products use the packed weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tnm_core.pattern import Pattern, PatternLike, as_transposable
from tnm_core.torch.linear.backends import BackendName
from tnm_core.torch.linear.mask_checks import check_layer_mask, check_mask_shape, check_tiles_fit
from tnm_core.torch.linear.packed_linear import PACKED, PackedLinear
from tnm_core.torch.linear.packing import Packed
from tnm_core.torch.linear.products import masked_product
from tnm_core.torch.linear.speed_table import SpeedTable
from tnm_core.torch.tensors import transposable_mask


class TransposableLinear(PackedLinear):
    """``Y = X (W * mask)ᵀ + b`` with a transposable n:m mask.

    The dense weight is the only weight Parameter, and `mask` a persistent buffer. The forward
    product uses W packed along its rows, the input gradient W packed along its columns; both are
    buffers that are not saved. The weight gradient is dense: dropped weights keep learning (a
    straight-through estimator), unless ``masked_gradient=True``.

    Parameters
    ----------
    in_features, out_features : int
        Shape of the weight, (out_features, in_features); both at least m.
    bias : bool
        Whether there is a bias.
    n, m : int
        n entries are kept of every m, along rows and columns; n may be a whole pattern, ``"4:8"``.
    backend : {"auto", "cusparselt", "dense", "emulate"}
        What multiplies. ``"cusparselt"``: 2:4 in hardware, float16 and bfloat16, sizes that are
        multiples of 16. ``"dense"``: the masked product, for anything. ``"emulate"``: the
        compressed form, any n:m and device, to check and not to be fast. ``"auto"`` picks;
        `active_backend` and `backend_reason` say what and why.
    compute_dtype : torch.dtype, optional
        Dtype of products: inputs are cast to it, and outputs have it. By default that of autocast
        where it is enabled, else that of the weight.
    masked_gradient : bool
        Give dropped weights no gradient.
    name : str
        What errors call the layer.
    speeds : SpeedTable, optional
        Measurements for ``"auto"``.
    device, dtype
        As in `torch.nn.Linear`.

    Attributes
    ----------
    mask : Tensor of bool, shape of `weight`
        What is kept; change it with `set_mask`.
    tnm_masked_weight : bool
        True: marks modules whose weight is masked.

    Raises
    ------
    TypeError, ValueError
        If n, m or `backend` does not fit, the layer is smaller than one tile, or the back end that
        is asked for can never multiply by such a weight.

    Notes
    -----
    Packed forms follow `load_state_dict`, `to`, `deepcopy` and pickling. After an optimizer step
    call `repack` (see `repack_after_step`); an eager forward pass that finds weight or mask changed
    does so itself, and a compiled one raises RuntimeError. A change is seen by the version counter
    that in-place operations and optimizers move; what is written through ``weight.data`` moves
    none, nor does the replay of a CUDA graph: call `repack` after the one, and in the other.

    The two products are those of Hubara et al., "Accelerated Sparse Neural Training" (NeurIPS
    2021), section 3.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import TransposableLinear
    >>> layer = TransposableLinear(64, 32, n=2, m=4, backend="emulate")
    >>> layer(torch.ones(3, 5, 64)).shape
    torch.Size([3, 5, 32])
    >>> int(layer.mask.sum())
    1024
    """

    tnm_masked_weight = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        n: PatternLike | int = 2,
        m: int | None = None,
        *,
        backend: BackendName = "auto",
        compute_dtype: torch.dtype | None = None,
        masked_gradient: bool = False,
        name: str = "",
        speeds: SpeedTable | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        owner = name or f"TransposableLinear({in_features}, {out_features})"
        pattern = _as_layer_pattern(n, m)
        check_tiles_fit((out_features, in_features), pattern.m, owner)
        super().__init__(
            in_features,
            out_features,
            bias,
            pattern,
            backend=backend,
            compute_dtype=_floating(compute_dtype, owner),
            name=name,
            speeds=speeds,
            device=device,
            dtype=dtype,
        )
        self.masked_gradient = bool(masked_gradient)
        if not self.weight.is_meta:
            self._take_mask(_optimal_mask(self.weight, pattern, owner))

    @classmethod
    def from_linear(
        cls,
        linear: nn.Linear,
        n: PatternLike | int = 2,
        m: int | None = None,
        mask: torch.Tensor | None = None,
        **options: Any,
    ) -> TransposableLinear:
        """Build a layer around the Parameters of a dense one; optimizers go on with them.

        Parameters
        ----------
        linear : torch.nn.Linear
            The dense layer; it is left as it is.
        n, m : int
            As for the class.
        mask : Tensor of bool, shape of the weight, optional
            A transposable mask; by default the optimal one of the weight's magnitudes.
        **options
            `backend`, `compute_dtype`, `masked_gradient`, `name` and `speeds` as for the class.

        Raises
        ------
        TypeError, ValueError
            As the class does, or if the mask does not fit.

        Examples
        --------
        >>> import torch
        >>> from tnm_core.torch import TransposableLinear
        >>> dense = torch.nn.Linear(32, 16)
        >>> layer = TransposableLinear.from_linear(dense, 4, 8)
        >>> layer.weight is dense.weight
        True
        """
        if not isinstance(linear, nn.Linear):
            raise TypeError(f"got a {type(linear).__name__}, expected a torch.nn.Linear")
        shape = (linear.in_features, linear.out_features, linear.bias is not None)
        layer = cls(*shape, n, m, device="meta", dtype=linear.weight.dtype, **options)
        if mask is not None:
            check_layer_mask(mask, (shape[1], shape[0]), layer.pattern, layer._owner)
        layer.weight, layer.bias = linear.weight, linear.bias
        if not linear.weight.is_meta:
            if mask is None:
                mask = _optimal_mask(linear.weight, layer.pattern, layer._owner)
            layer.mask = torch.empty_like(linear.weight, dtype=torch.bool, requires_grad=False)
            layer._take_mask(mask)
        return layer.train(linear.training)

    def masked_weight(self) -> torch.Tensor:
        """Return the weight with zeros where the mask drops, differentiable."""
        return self.weight.masked_fill(~self.mask, 0)

    def set_mask(self, mask: torch.Tensor, *, validate: bool = True) -> None:
        """Take another mask and pack anew.

        Parameters
        ----------
        mask : Tensor of bool, shape of the weight
            A transposable mask of the layer's pattern, on any device.
        validate : bool
            Check the pattern. False is for masks straight from `transposable_mask`: on a GPU it
            saves waiting for the check.

        Raises
        ------
        TypeError, ValueError
            If it is something else; the layer keeps its mask.
        """
        shape = (self.out_features, self.in_features)
        if validate:
            check_layer_mask(mask, shape, self.pattern, self._owner)
        else:
            check_mask_shape(mask, shape, self._owner)
        self._take_mask(mask)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply: (..., in_features) to (..., out_features).

        Raises
        ------
        TypeError, ValueError
            If the input's last axis or dtype does not fit, or the back end asked for cannot be
            used.
        RuntimeError
            When compiled, if weight or mask changed since they were packed.
        """
        dtype = self._product_dtype()
        if dtype is None:
            dtype = self.weight.dtype
        else:
            input = input.to(dtype)
        self._check_input(input, dtype)
        if not torch.compiler.is_compiling():
            self._prepare(dtype)
        return self._multiply(input, None if self.bias is None else self.bias.to(dtype))

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
        values, indices, values_t, indices_t = (getattr(self, buffer) for buffer in PACKED)
        return masked_product(
            rows,
            self.weight,
            self.mask,
            bias,
            (Packed(values, indices), Packed(values_t, indices_t)),
            self.pattern,
            self._choice.backend or self.backend,
            transposed=transposed,
            masked_gradient=self.masked_gradient,
            keeps_masked=not self._packs_at_every_forward,
        )

    @torch.no_grad()
    def _take_mask(self, mask: torch.Tensor) -> None:
        self.mask.copy_(mask)
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

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        mask = state_dict.get(f"{prefix}mask")
        if mask is not None and tuple(mask.shape) == tuple(self.mask.shape):
            owner = self.layer_name or prefix.rstrip(".") or self._owner
            try:
                check_layer_mask(mask, tuple(self.mask.shape), self.pattern, owner)
            except (TypeError, ValueError) as error:
                others[-1].append(str(error))  # the errors that load_state_dict raises together
                return
        super()._load_from_state_dict(state_dict, prefix, *others)
        self._pack_if_possible()


def _as_layer_pattern(n: PatternLike | int, m: int | None) -> Pattern:
    """Read n and m, of which m is 4 if it is not given, or a pattern."""
    is_whole = isinstance(n, (Pattern, str, tuple, list))
    return as_transposable(n, 4 if m is None and not is_whole else m)


def _optimal_mask(weight: torch.Tensor, pattern: Pattern, owner: str) -> torch.Tensor:
    try:
        return transposable_mask(weight, pattern.n, pattern.m)
    except ValueError as error:
        raise ValueError(f"{owner}: no mask for its weight: {error}") from None


def _floating(dtype: torch.dtype | None, owner: str) -> torch.dtype | None:
    if dtype is None or (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        return dtype
    raise TypeError(f"{owner}: compute_dtype is {dtype!r}, expected a floating-point torch.dtype")
