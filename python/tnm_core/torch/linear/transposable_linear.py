"""A linear layer with a transposable N:M mask, whose products use the packed weight."""

from __future__ import annotations

from tnm_core.torch.linear.masked_linear import MaskedLinear


class TransposableLinear(MaskedLinear):
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
