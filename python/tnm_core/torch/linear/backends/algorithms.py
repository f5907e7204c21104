"""Which of cuSPARSELt's algorithms is fastest for a product: searched once and kept.

Algorithm 0, the default, is often not it, above all for large weights and few tokens. A search
times all of them and waits for the device, so that it is made once for a shape, a dtype and a
magnitude of tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from warnings import warn

import torch

from tnm_core.torch.tensors import is_capturing


class Algorithm(NamedTuple):
    """What cuSPARSELt calls a configuration; the default is what it takes if nothing is said."""

    number: int = 0
    split_k: int = 1
    split_k_mode: int = -1

    @property
    def options(self) -> tuple[int, ...]:
        """The last arguments of torch's operator: its name of the mode changed, its place did not.

        A mode says how parts of a sum are added up, and nothing if there is one part.
        """
        return (self.number,) if self.split_k == 1 else tuple(self)


class ProductKey(NamedTuple):
    """What the fastest algorithm depends on.

    Attributes
    ----------
    device : torch.device
        Where operands lie.
    dtype : torch.dtype
        Of both operands.
    rows, columns : int
        Shape of the sparse operand.
    magnitude : int
        Bits of the number of tokens, which differs from batch to batch.
    """

    device: torch.device
    dtype: torch.dtype
    rows: int
    columns: int
    magnitude: int


class Algorithms:
    """The algorithms that this process found, or was told of."""

    def __init__(self) -> None:
        self._known: dict[ProductKey, Algorithm] = {}

    def find(self, key: ProductKey, values: torch.Tensor, dense: torch.Tensor) -> Algorithm:
        """Return the algorithm of a product; search it with these operands if it is not known."""
        known = self._known.get(key)
        if known is not None:
            return known
        if torch.are_deterministic_algorithms_enabled():
            # A choice by time differs from run to run, and sums are rounded in another order.
            return Algorithm()
        if is_capturing():
            warn(
                f"a product by a {key.rows} x {key.columns} weight is captured in a CUDA graph "
                "before its fastest algorithm was searched, so that the graph holds the default; "
                "expected one step before capturing",
                stacklevel=2,
            )
            return Algorithm()
        return self._known.setdefault(key, _search(values, dense))

    def get(self, key: ProductKey) -> Algorithm | None:
        """Return what is known of a product."""
        return self._known.get(key)

    def tell(self, key: ProductKey, algorithm: Algorithm) -> None:
        """Take an algorithm that was found elsewhere, unless one is known."""
        self._known.setdefault(key, algorithm)


ALGORITHMS = Algorithms()


def _search(values: torch.Tensor, dense: torch.Tensor) -> Algorithm:
    """Time the algorithms; torch's public operator reports no parts of a sum, and is deprecated."""
    library: Any = getattr(torch._C, "_cusparselt", None)
    if library is None:
        return Algorithm(torch._cslt_sparse_mm_search(values, dense, transpose_result=True))
    number, split_k, mode, _ = library.mm_search(values, dense, None, None, None, True)
    return Algorithm(int(number), int(split_k), int(mode))
