"""The linear layer of transformers whose weight is stored as (in, out)."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.torch.linear.masked_layer import MaskedLayer

_Layer = TypeVar("_Layer", bound="MaskedConv1D")


class MaskedConv1D(MaskedLayer):
    """``Y = X (W * mask) + b``, as GPT-2 has it; which masks, its classes say."""

    layout = "in_out"
    _dense_class: type[nn.Module]

    @classmethod
    def from_dense(
        cls: type[_Layer],
        dense: Any,
        pattern: Pattern,
        mask: torch.Tensor | None = None,
        **options: Any,
    ) -> _Layer:
        """Build a layer around the Parameters of a dense one; optimizers go on with them.

        Parameters
        ----------
        dense : transformers.pytorch_utils.Conv1D
            The dense layer; it is left as it is.
        pattern : Pattern
            n of m are kept, as the class has it.
        mask : Tensor of bool, shape of the weight, optional
            A mask of the pattern; by default the optimal one of the weight's magnitudes.
        **options
            `backend`, `compute_dtype`, `masked_gradient`, `name` and `speeds`, as for
            `TransposableLinear`.
        """
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer.nx, layer.nf = layer.in_features, layer.out_features = tuple(dense.weight.shape)
        layer.weight, layer.bias = dense.weight, dense.bias
        layer.training = dense.training
        layer._dense_class = type(dense)
        layer._prepare_masking(pattern, mask=mask, **options)
        return layer

    def _empty_dense(self) -> nn.Module:
        # That of transformers makes its Parameters in memory, however large.
        dense: Any = self._dense_class.__new__(self._dense_class)
        nn.Module.__init__(dense)
        dense.nx, dense.nf = self.nx, self.nf
        return cast(nn.Module, dense)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply: (..., in) to (..., out)."""
        return self._product(input)


class TransposableConv1D(MaskedConv1D):
    """``Y = X (W * mask) + b`` with a transposable mask.

    `to_sparse_linear_` makes it of the ``Conv1D`` of transformers. Weight and mask are (in, out).
    """
