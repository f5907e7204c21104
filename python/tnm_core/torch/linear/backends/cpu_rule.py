"""Where products with packed weights are faster than dense ones on a CPU."""

from __future__ import annotations

from typing import NamedTuple

import torch


class _Limit(NamedTuple):
    """From how many tokens on what is faster."""

    least_tokens: int
    most_density: float
    least_side: int


# The last limit that the number of tokens reaches counts, the first one where it is not known.
_LIMITS: dict[torch.dtype, tuple[_Limit, ...]] = {
    torch.float32: (_Limit(1, 0.5, 64),),
    torch.bfloat16: (_Limit(1, 0.5, 64),),
    torch.float16: (_Limit(1, 0.5, 64),),
}


def why_dense_is_faster(
    sides: tuple[int, int], density: float, dtype: torch.dtype, tokens: int | None = None
) -> str | None:
    """Say why a dense product is expected to be faster; None if the packed one is.

    Parameters
    ----------
    sides : pair of int
        Rows and columns of the weight.
    density : float
        The share of it that is kept.
    dtype : torch.dtype
        One in which there are packed products.
    tokens : int, optional
        Rows of the input, if they are known.
    """
    limits = _LIMITS[dtype]
    reached = [one for one in limits if tokens is not None and one.least_tokens <= tokens]
    limit = (reached or limits[:1])[-1]
    if density > limit.most_density:
        return f"density {density:.2f}, expected at most {limit.most_density:.2f}"
    if min(sides) < limit.least_side:
        shape = " x ".join(map(str, sides))
        return f"{shape}, expected sides of at least {limit.least_side}"
    return None
