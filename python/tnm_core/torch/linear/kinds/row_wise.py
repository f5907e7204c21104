"""Layers with row-wise masks: products with the packed weight forward, dense ones backward."""

from __future__ import annotations

from torch import nn

from tnm_core.torch.linear.kinds.conv1d import MaskedConv1D
from tnm_core.torch.linear.kinds.pointwise import MaskedPointwise
from tnm_core.torch.linear.masked_linear import MaskedLinear


class RowWiseLinear(MaskedLinear):
    """``Y = X (W * mask)ᵀ + b`` with a row-wise n:m mask.

    Of every m inputs of an output n are kept; across outputs nothing is asked for, so that the
    transpose of the weight has no pattern. The forward product uses W packed along its rows; the
    input gradient is a dense product by the masked weight, which is masked for it in each backward
    pass. All else is as for `TransposableLinear`.

    Parameters
    ----------
    in_features, out_features : int
        Shape of the weight, (out_features, in_features); both at least m.
    bias : bool
        Whether there is a bias.
    n, m : int
        n inputs are kept of every m; n may be a whole pattern: ``"row 2:4"`` and ``"2:4"`` mean the
        same here.
    backend, compute_dtype, masked_gradient, name, speeds
        As for `TransposableLinear`; ``"cusparselt"`` takes 2:4.
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
        As `TransposableLinear` does.

    Notes
    -----
    Masks are those of `tnm_core.torch.nm_mask` along the inputs. The straight-through estimator
    with such masks is that of Zhou et al., "Learning N:M Fine-grained Structured Sparse Neural
    Networks From Scratch" (ICLR 2021), section 3.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import RowWiseLinear
    >>> layer = RowWiseLinear(64, 32, n=2, m=4, backend="emulate")
    >>> layer(torch.ones(3, 5, 64)).shape
    torch.Size([3, 5, 32])
    >>> str(layer.pattern), set(layer.mask.view(32, 16, 4).sum(-1).flatten().tolist())
    ('row 2:4', {2})
    """

    transposable = False


class RowWiseConv1D(MaskedConv1D):
    """``Y = X (W * mask) + b`` with a row-wise mask.

    `to_sparse_linear_` makes it of the ``Conv1D`` of transformers. Weight and mask are (in, out):
    groups of m run along the first axis.
    """

    transposable = False


class RowWisePointwise1d(MaskedPointwise, nn.Conv1d):
    """`torch.nn.Conv1d` of kernel 1 with a row-wise mask; `to_sparse_linear_` makes it."""

    transposable = False


class RowWisePointwise2d(MaskedPointwise, nn.Conv2d):
    """`torch.nn.Conv2d` of kernel 1 x 1 with a row-wise mask; `to_sparse_linear_` makes it."""

    transposable = False
