"""Where products with packed weights are faster than dense ones on a CPU."""

from __future__ import annotations

from typing import NamedTuple

import torch


class _Limit(NamedTuple):
    """From how many tokens on what is faster."""

    least_tokens: int
    most_density: float
    least_side: int
    least_entries: int = 0


# More entries of float32 come from memory, not from a cache.
_BEYOND_CACHES = 1 << 23

# The last limit that the number of tokens reaches counts; if that is not known, the one for a few.
# Measured on AVX2 against torch's own product, which is what would run instead (docs/products.md):
# at half density a token alone pays beyond the caches, 2 to 15 break even or gain, from 32 on it is
# 1.5 times and more; dense products catch up at a density of .85. torch's 16-bit products are slow
# where the CPU has none, and ours are not. Beyond the caches are the weights of a whole model, too:
# each has been evicted by the others when its turn comes again (docs/post-training.md, decode).
_LIMITS: dict[torch.dtype, tuple[_Limit, ...]] = {
    torch.float32: (
        _Limit(1, 0.5, 64, _BEYOND_CACHES),
        _Limit(2, 0.5, 64),
        _Limit(32, 0.75, 64),
    ),
    torch.bfloat16: (_Limit(1, 0.5, 64), _Limit(32, 0.75, 64)),
    torch.float16: (_Limit(1, 0.5, 64, _BEYOND_CACHES), _Limit(2, 0.5, 64), _Limit(32, 0.75, 64)),
}
_FEW_TOKENS = 2


def why_dense_is_faster(
    sides: tuple[int, int],
    density: float,
    dtype: torch.dtype,
    tokens: int | None = None,
    together: int | None = None,
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
    together : int, optional
        Entries of all weights that a model multiplies by in turn; by default of this one alone.
    """
    reached = [one for one in _LIMITS[dtype] if one.least_tokens <= (tokens or _FEW_TOKENS)]
    limit = reached[-1]
    shape = " x ".join(map(str, sides))
    if density > limit.most_density:
        return f"density {density:.2f}, expected at most {limit.most_density:.2f}"
    if min(sides) < limit.least_side:
        return f"{shape}, expected sides of at least {limit.least_side}"
    entries = together or sides[0] * sides[1]
    if entries < limit.least_entries:
        whose = shape if together is None else f"{shape}, {entries} entries in all layers,"
        return f"{whose} with one token, expected at least {limit.least_entries} entries"
    return None
