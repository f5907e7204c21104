"""Provably optimal transposable N:M sparsity masks.

n is what is kept of m: a 2:4 mask keeps 2 of every 4 entries. A transposable mask does so along the
rows and along the columns of every m x m tile, so that a weight matrix and its transpose are both
N:M sparse.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tnm_core.build_info import __version__, build_info
from tnm_core.call_path import CallPath, explain_path
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
from tnm_core.retained import RetainedScore, retained_score

if TYPE_CHECKING:
    from tnm_core import checkpoint as checkpoint
    from tnm_core import plots as plots
    from tnm_core import torch as torch

__all__ = [
    "CallPath",
    "Certificate",
    "Compressed",
    "MaskReport",
    "PackedMatrix",
    "Pattern",
    "RetainedScore",
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
    "explain_path",
    "is_transposable",
    "mask_diversity",
    "matmul",
    "nm_mask",
    "pack",
    "rank_mask",
    "retained_score",
    "sample_masks",
    "transposable_mask",
    "unrank_mask",
]

# Subpackages that need an extra, or time: imported when they are first asked for.
_ON_DEMAND = ("checkpoint", "plots", "torch")


if not TYPE_CHECKING:  # type checkers see the imports above, and mistakes in names

    def __getattr__(name: str) -> Any:
        if name in _ON_DEMAND:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})
