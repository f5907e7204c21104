"""What linear layers with a mask and packed weights share, whatever patterns they take."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

from tnm_core.pattern import PatternLike
from tnm_core.torch.linear.backends import BackendName
from tnm_core.torch.linear.masked_layer import MaskedLayer, as_layer_pattern
from tnm_core.torch.linear.speed_table import SpeedTable

_Layer = TypeVar("_Layer", bound="MaskedLinear")


class MaskedLinear(MaskedLayer, nn.Linear):
    """``Y = X (W * mask)ᵀ + b``; which masks, its classes say, and document all arguments."""

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
        pattern = as_layer_pattern(n, m, transposable=self.transposable)
        nn.Linear.__init__(self, in_features, out_features, bias, device=device, dtype=dtype)
        self._prepare_masking(
            pattern,
            backend=backend,
            compute_dtype=compute_dtype,
            masked_gradient=masked_gradient,
            name=name,
            speeds=speeds,
        )

    @classmethod
    def from_linear(
        cls: type[_Layer],
        linear: nn.Linear,
        n: PatternLike | int = 2,
        m: int | None = None,
        mask: torch.Tensor | None = None,
        **options: Any,
    ) -> _Layer:
        """Build a layer around the Parameters of a dense one; optimizers go on with them.

        Parameters
        ----------
        linear : torch.nn.Linear
            The dense layer; it is left as it is.
        n, m : int
            As for the class.
        mask : Tensor of bool, shape of the weight, optional
            A mask of the pattern; by default the optimal one of the weight's magnitudes.
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
        pattern = as_layer_pattern(n, m, transposable=cls.transposable)
        layer = cls.__new__(cls)
        nn.Linear.__init__(layer, linear.in_features, linear.out_features, False, device="meta")
        layer.weight, layer.bias = linear.weight, linear.bias
        layer.training = linear.training
        layer._prepare_masking(pattern, mask=mask, **options)
        return layer

    def _empty_dense(self) -> nn.Linear:
        return nn.Linear(self.in_features, self.out_features, False, device="meta")

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
        return self._product(input)
