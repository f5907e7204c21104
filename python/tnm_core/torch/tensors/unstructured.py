"""From unstructured sparsity to N:M: which pattern a layer can bear, and the nearest mask."""

from __future__ import annotations

import math
from typing import Literal

import torch

from tnm_core import arguments
from tnm_core.pattern import LARGEST_M, PatternLike, as_transposable
from tnm_core.torch.tensors.tensor_masks import transposable_mask


def kept_of_m(zero_rate: float, m: int, confidence: float = 0.9) -> int:
    """Return the n for which a group of m probably has m - n zeros already.

    With zeros independent, P(at least k zeros of m) = Σ_{i >= k} C(m, i) pⁱ (1 - p)^(m - i); the
    largest k with P >= `confidence` can be pruned (Hubara et al., "Accelerated Sparse Neural
    Training", NeurIPS 2021; there N counts the zeros).

    Parameters
    ----------
    zero_rate : float in [0, 1]
        Share of a layer's entries that are zero.
    m : int
        The size of a group.
    confidence : float in (0, 1]
        How probable it has to be.

    Returns
    -------
    int
        n = m - k, from 0 (all zeros, probably) to m (stay dense).

    Examples
    --------
    >>> from tnm_core.torch import kept_of_m
    >>> [kept_of_m(rate, 8) for rate in (0.3, 0.5, 0.7, 0.9)]
    [7, 6, 4, 2]
    """
    if not 0 <= zero_rate <= 1:
        raise ValueError(f"zero_rate is {zero_rate}, expected a number from 0 to 1")
    if not 0 < confidence <= 1:
        raise ValueError(f"confidence is {confidence}, expected a number in (0, 1]")
    m = arguments.as_integer("m", m, 1, LARGEST_M)
    at_least = 0.0
    for zeros in range(m, 0, -1):
        at_least += math.comb(m, zeros) * zero_rate**zeros * (1 - zero_rate) ** (m - zeros)
        if at_least >= confidence:
            return m - zeros
    return m


def least_disturbing_mask(
    weight: torch.Tensor,
    n: PatternLike | int,
    m: int | None = None,
    *,
    objective: Literal["weight", "count"] = "weight",
) -> torch.Tensor:
    """Find the transposable mask that loses least of an unstructured sparse weight.

    Parameters
    ----------
    weight : torch.Tensor, shape (..., rows, columns)
        With zeros where it is pruned.
    n, m : int
        As in `transposable_mask`.
    objective : {"weight", "count"}
        Lose the least magnitude, or the fewest entries and of those the least magnitude.

    Returns
    -------
    torch.Tensor of bool
        The optimum for the objective; kept entries may be zeros of the weight.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import least_disturbing_mask
    >>> weight = torch.eye(4)
    >>> bool(least_disturbing_mask(weight, 1, 4).equal(weight.bool()))
    True
    """
    pattern = as_transposable(n, m)
    if objective not in ("weight", "count"):
        raise ValueError(f"objective is {objective!r}, expected 'weight' or 'count'")
    if objective == "weight":
        return transposable_mask(weight, pattern, score="abs")
    magnitude = weight.detach().double().abs()
    # An entry counts 1; all magnitudes of a tile together count less than one entry.
    largest = magnitude.max().clamp_min(1e-300) if magnitude.numel() else 1.0
    tie_break = magnitude / largest / (2 * pattern.n * pattern.m)
    return transposable_mask((weight != 0) + tie_break, pattern, score="identity")
