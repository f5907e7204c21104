"""Compressed rows of torch and SciPy.

Both multiply a sparse matrix by a dense one, so they get the inputs transposed ahead and may leave
their result transposed: the product alone is timed.
"""

from __future__ import annotations

import warnings

import numpy as np

from bench.native import UnavailableError
from bench.products.peers.base import Product, ProductPeer, array_of, import_torch, tensor_of
from bench.products.problems import Array


def _open_torch(weights: Array, inputs: Array) -> Product:
    import_torch()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        matrix = tensor_of(weights).to_sparse_csr()
    columns = tensor_of(np.ascontiguousarray(inputs.T))
    return lambda: matrix @ columns


def _open_scipy(weights: Array, inputs: Array) -> Product:
    try:
        from scipy.sparse import csr_array
    except ImportError as error:
        raise UnavailableError("SciPy is not installed") from error
    matrix, columns = csr_array(weights), np.ascontiguousarray(inputs.T)
    return lambda: matrix @ columns


PEERS = (
    ProductPeer("torch.sparse CSR", _open_torch, lambda tensor: array_of(tensor).T),
    ProductPeer("SciPy CSR", _open_scipy, np.transpose, obeys=False),
)
