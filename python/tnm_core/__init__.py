"""Provably optimal transposable N:M sparsity masks.

n is what is kept of m: a 2:4 mask keeps 2 of every 4 entries. A transposable mask does so along the
rows and along the columns of every m x m tile, so that a weight matrix and its transpose are both
N:M sparse.
"""

from __future__ import annotations

from tnm_core.build_info import __version__, build_info
from tnm_core.certificate import Certificate
from tnm_core.check import MaskReport, Violation, check_mask, is_transposable
from tnm_core.compression import Compressed, compress, decompress
from tnm_core.counting import mask_diversity
from tnm_core.listing import (
    decode_masks,
    encode_masks,
    enumerate_masks,
    rank_mask,
    sample_masks,
    unrank_mask,
)
from tnm_core.masks import nm_mask, transposable_mask
from tnm_core.pattern import Pattern
from tnm_core.products import PackedMatrix, TransposedPackedMatrix, matmul, pack

__all__ = [
    "Certificate",
    "Compressed",
    "MaskReport",
    "PackedMatrix",
    "Pattern",
    "TransposedPackedMatrix",
    "Violation",
    "__version__",
    "build_info",
    "check_mask",
    "compress",
    "decode_masks",
    "decompress",
    "encode_masks",
    "enumerate_masks",
    "is_transposable",
    "mask_diversity",
    "matmul",
    "nm_mask",
    "pack",
    "rank_mask",
    "sample_masks",
    "transposable_mask",
    "unrank_mask",
]
