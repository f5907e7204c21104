"""A linear layer with a transposable N:M mask, whose products use the packed weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tnm_core.pattern import PatternLike
from tnm_core.torch.linear.backends import BackendName
from tnm_core.torch.linear.masked_layer import MaskedLayer, as_layer_pattern
from tnm_core.torch.linear.speed_table import SpeedTable


class TransposableLinear(MaskedLayer, nn.Linear):
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
    backend : {"auto", "cpu", "cusparselt", "dense", "emulate"}
        What multiplies. ``"cpu"``: kernels for packed weights, any n:m, float32, bfloat16 and
        float16. ``"cusparselt"``: 2:4 in hardware, float16 and bfloat16, sizes that are multiples
        of 16. ``"dense"``: the masked product, for anything. ``"emulate"``: the compressed form,
        any n:m and device, to check and not to be fast. ``"auto"`` picks; `active_backend` and
        `backend_reason` say what and why.
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
        pattern = as_layer_pattern(n, m)
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
        pattern = as_layer_pattern(n, m)
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
