"""Text for language models: a mixture to prune with, and news and plays that measure."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.fine_tuning.texts import HELD_OUT_PLAYS, encyclopedia, plays_folder

NEWS_TO_PRUNE = 200  # documents of 300; the others measure
MEASURED_CHARACTERS = 30_000  # of each play that measures


@cache
def text_to_prune() -> str:
    """News, plays and an encyclopedia, as many characters of each."""
    news = "\n".join(_news()[:NEWS_TO_PRUNE])
    plays = [text for name, text in _plays().items() if name not in HELD_OUT_PLAYS]
    own = len(news) // len(plays)
    of_plays = "\n".join(text[len(text) // 3 :][:own] for text in plays)
    return "\n".join((news, of_plays, " ".join(encyclopedia())[: len(news)]))


@cache
def measured_texts() -> dict[str, str]:
    """News, and the middles of four plays; none of it is in the text to prune with."""
    middles = (_plays()[name] for name in HELD_OUT_PLAYS)
    return {
        "news": "\n".join(_news()[NEWS_TO_PRUNE:]),
        "plays": "\n".join(text[len(text) // 3 :][:MEASURED_CHARACTERS] for text in middles),
    }


@cache
def _news() -> list[str]:
    from gensim.test.utils import datapath

    return Path(datapath("lee_background.cor")).read_text().splitlines()


@cache
def _plays() -> dict[str, str]:
    files = sorted((plays_folder() / "texts").glob("*_gut.txt"))
    return {one.name.removesuffix("_gut.txt"): one.read_text("latin-1") for one in files}
