"""torch: its linear layer, and the libraries beneath with weights packed ahead."""

from __future__ import annotations

from bench.native import UnavailableError
from bench.products.peers.base import Product, ProductPeer, array_of, import_torch, tensor_of
from bench.products.problems import Array


def _open_linear(weights: Array, inputs: Array) -> Product:
    linear = import_torch().nn.functional.linear
    x, w = tensor_of(inputs), tensor_of(weights)
    return lambda: linear(x, w)


def _open_onednn(weights: Array, inputs: Array) -> Product:
    torch = import_torch()
    if not torch.backends.mkldnn.is_available():
        raise UnavailableError("this torch is built without oneDNN")
    x, w = tensor_of(inputs), tensor_of(weights).contiguous()
    multiply = torch.ops.mkldnn._linear_pointwise
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(w, len(inputs))
    except RuntimeError as error:
        raise UnavailableError(str(error).splitlines()[0]) from error
    return lambda: multiply(x, packed, None, "none", [], "")


def _open_mkl(weights: Array, inputs: Array) -> Product:
    torch = import_torch()
    if not torch.backends.mkl.is_available():
        raise UnavailableError("this torch is built without MKL")
    x, w, tokens = tensor_of(inputs), tensor_of(weights).contiguous(), len(inputs)
    packed = torch.ops.mkl._mkl_reorder_linear_weight(w, tokens)
    multiply = torch.ops.mkl._mkl_linear
    return lambda: multiply(x, packed, w, None, tokens)


PEERS = (
    ProductPeer("torch", _open_linear, array_of, ("float32", "bfloat16")),
    ProductPeer("oneDNN, weights prepacked", _open_onednn, array_of, ("float32", "bfloat16")),
    ProductPeer("MKL, weights prepacked", _open_mkl, array_of),
)
