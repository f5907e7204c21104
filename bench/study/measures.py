"""How much of the dense model's embeddings a pruned model keeps, and how much faster it is."""

from __future__ import annotations

import numpy as np
import torch

from bench.measure import Timing


def mean_cosine(dense: torch.Tensor, pruned: torch.Tensor) -> float:
    """Mean cosine of embeddings, which have unit length."""
    return float((dense * pruned).sum(1).mean())


def same_neighbour(dense: torch.Tensor, pruned: torch.Tensor) -> float:
    """Share of the embeddings whose nearest neighbour stays the same."""
    nearest = []
    for vectors in (dense, pruned):
        similarity = vectors @ vectors.T
        nearest.append(similarity.fill_diagonal_(-2.0).argmax(1))
    return float((nearest[0] == nearest[1]).float().mean())


def similarity_correlation(vectors: torch.Tensor, human: np.ndarray) -> float:
    """Correlation of the cosines of pairs with what people say."""
    pairs = np.triu_indices(len(human), 1)
    return float(np.corrcoef((vectors @ vectors.T).numpy()[pairs], human[pairs])[0, 1])


def rates(name: str, count: int, dense: Timing, packed: Timing) -> dict[str, float]:
    """Return so many samples by the fastest seconds of the packed model, and compare the two."""
    return {name: count / packed.best, "times dense": dense.best / packed.best}
