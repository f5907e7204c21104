"""Others that multiply: dense matrices, and sparse ones."""

from __future__ import annotations

from bench.products.peers import csr, onnx_runtime, openblas, torch_dense
from bench.products.peers.base import ProductPeer

TORCH = torch_dense.PEERS[0]
DENSE: tuple[ProductPeer, ...] = (*torch_dense.PEERS, *openblas.PEERS, *onnx_runtime.PEERS)
SPARSE: tuple[ProductPeer, ...] = csr.PEERS

__all__ = ["DENSE", "SPARSE", "TORCH", "ProductPeer"]
