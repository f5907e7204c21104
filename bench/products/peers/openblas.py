"""NumPy, which brings OpenBLAS with it."""

from __future__ import annotations

import numpy as np

from bench.products.peers.base import Product, ProductPeer
from bench.products.problems import Array


def _open(weights: Array, inputs: Array) -> Product:
    transposed = weights.T
    return lambda: inputs @ transposed


PEERS = (ProductPeer("NumPy (OpenBLAS)", _open, np.asarray),)
