"""How close a model's embeddings are to those of the dense one, on several kinds of text."""

from __future__ import annotations

import numpy as np
import torch

from bench.fine_tuning.task import Encoded
from bench.study.measures import mean_cosine, same_neighbour
from examples.bert_encoder import BertEncoder, padded_batches

FEW = 96


class Measuring:
    """Sentences in pools by kind of text, and the dense model's embeddings of them."""

    def __init__(self, dense: BertEncoder, pools: dict[str, list[Encoded]]) -> None:
        self._pools = pools
        self._few = {kind: ones[0][:FEW] for kind, ones in pools.items()}
        self._dense = {
            kind: [embeddings(dense, one) for one in ones] for kind, ones in pools.items()
        }

    def whole(self, model: BertEncoder) -> dict[str, dict[str, float]]:
        """Cosine and same neighbour by kind of text, means over the pools."""
        found = {}
        for kind, pools in self._pools.items():
            pairs = [
                (dense, embeddings(model, pool))
                for dense, pool in zip(self._dense[kind], pools, strict=True)
            ]
            found[kind] = {
                "cosine": float(np.mean([mean_cosine(*pair) for pair in pairs])),
                "same neighbour": float(np.mean([same_neighbour(*pair) for pair in pairs])),
            }
        return found

    def few(self, model: BertEncoder) -> dict[str, float]:
        """Cosine by kind of text, on a few sentences."""
        return {
            kind: mean_cosine(self._dense[kind][0][: len(few)], embeddings(model, few))
            for kind, few in self._few.items()
        }


@torch.no_grad()
def embeddings(model: BertEncoder, encoded: Encoded) -> torch.Tensor:
    """Sentence embeddings in the order of the sentences."""
    batches, order = padded_batches(encoded)
    found = torch.cat([model(**batch) for batch in batches])
    return found[torch.tensor(order).argsort()]
