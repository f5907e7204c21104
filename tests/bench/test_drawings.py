"""Drawings show what is true of their tiles, and the documents show every one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tnm_core as tnm
from bench.drawings.__main__ import PICTURES, main
from bench.drawings.approximation import lightest
from bench.drawings.masks import TIED, best_masks
from bench.drawings.tile import SCORES, M, N, number, solve

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _kept(mask: np.ndarray, scores: np.ndarray = SCORES) -> int:
    return int(scores[mask].sum())


def test_prices_prove_the_mask_that_alone_is_best() -> None:
    solved = solve()
    assert round(solved.bound, 9) == _kept(solved.mask) == 62
    assert (solved.above[solved.mask] >= 0).all()
    assert (solved.above[~solved.mask] <= 0).all()
    scores = sorted(_kept(mask) for mask in tnm.enumerate_masks(N, M))
    assert scores[-1] == 62 > scores[-2]


def test_published_algorithm_prunes_what_is_marked() -> None:
    mask = tnm.transposable_mask(SCORES, N, M, method="two_approximation", complete=False)
    assert (mask == ~(lightest(0) | lightest(1))).all()
    assert int(lightest(1).sum()) == int(lightest(0).sum()) == (M - N) * M
    pruned, least = SCORES.sum() - _kept(mask), SCORES.sum() - 62
    assert least < pruned <= 2 * least


def test_one_of_several_best_masks_is_returned() -> None:
    masks = best_masks()
    returned = tnm.transposable_mask(TIED, N, M)
    assert len(masks) == 4
    assert sum(bool((mask == returned).all()) for mask in masks) == 1
    assert {_kept(mask, TIED) for mask in masks} == {_kept(returned, TIED)}


def test_pictures_are_drawn_and_shown(tmp_path: Path) -> None:
    main(["-o", str(tmp_path), "--only", "ties"])
    assert (tmp_path / "explained-ties.png").stat().st_size > 5000
    pages = "".join(path.read_text() for path in DOCS.glob("*.md"))
    for name, draw in PICTURES.items():
        assert draw().axes, name
        assert f"(images/explained-{name}.png)" in pages, name
        assert (DOCS / "images" / f"explained-{name}.png").is_file(), name


def test_numbers_are_short() -> None:
    assert [number(value) for value in (-1.00007, -0.00001, 6.5)] == ["\N{MINUS SIGN}1", "0", "6.5"]
