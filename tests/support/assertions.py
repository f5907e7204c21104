"""The one assertion helper that every solver of transposable masks has to pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tnm_core as tnm
from tests.support import references
from tests.support.certificates import assert_certificate
from tests.support.oracles import are_flow_integers, best_mask
from tests.support.tiles import Tile, kept_score, normalised, scores_of, tiles

Oracle = Callable[[np.ndarray, int, bool], np.ndarray]

# Both sums are correctly rounded; what remains is the floating-point oracles' own tolerance.
RELATIVE_TOLERANCE = 1e-9

AS_PUBLISHED = {
    "two_approximation": references.two_approximation_loop,
    "greedy": references.greedy,
}


def assert_solved(
    array: np.ndarray,
    n: int,
    m: int,
    *,
    method: str = "optimal",
    score: str = "abs",
    complete: bool = True,
    oracle: Oracle | None = best_mask,
    threads: int | None = None,
) -> np.ndarray:
    """Solve a matrix and its transpose; check validity, bounds and optimality of both.

    Parameters
    ----------
    array, n, m, method, score, complete, threads
        As for `tnm_core.transposable_mask`.
    oracle
        Gives the best mask of a tile; None trusts the re-checked certificate alone.

    Returns
    -------
    The mask of `array` (not of its transpose).
    """
    options: dict[str, Any] = {"method": method, "score": score, "threads": threads}
    if method != "optimal":
        options["complete"] = complete
    mask = _assert_one_solved(array, n, m, oracle, options)
    _assert_one_solved(np.swapaxes(array, -1, -2), n, m, oracle, options)
    return mask


def _assert_one_solved(
    array: np.ndarray, n: int, m: int, oracle: Oracle | None, options: dict[str, Any]
) -> np.ndarray:
    before = array.tobytes()
    method, score = options["method"], options["score"]
    complete = options.get("complete", True)
    if method == "optimal":
        mask, proof = tnm.transposable_mask(array, n, m, return_certificate=True, **options)
    else:
        mask, proof = tnm.transposable_mask(array, n, m, **options), None
    assert array.tobytes() == before, "the input was changed"
    scores = scores_of(array, score)
    assert_valid(mask, scores, n, m, exact=complete)
    if proof is not None:
        assert_certificate(proof, array, mask, n, m, score)
    if oracle is not None or not complete:
        for tile in tiles(array.shape, m):
            _assert_tile(tile, scores[tile.region], mask[tile.region], n, m, oracle, options)
    return mask


def assert_valid(
    mask: np.ndarray, scores: np.ndarray, n: int, m: int, *, exact: bool = True
) -> None:
    """Full tiles keep exactly n per row and column, edge tiles at most n, all of them positive."""
    assert type(mask) is np.ndarray
    assert mask.dtype == np.bool_
    assert mask.shape == scores.shape
    assert mask.view(np.uint8).max(initial=0) <= 1, "a bool is stored as something but 0 or 1"
    violation = references.first_violation(mask, n, m, exact)
    assert violation is None, f"{n}:{m} broken at {violation}\n{scores=}\n{mask=}"
    for tile in tiles(scores.shape, m):
        if not tile.full:
            assert (scores[tile.region][mask[tile.region]] > 0).all(), f"edge {tile.where}"


def _assert_tile(
    tile: Tile,
    scores: np.ndarray,
    mask: np.ndarray,
    n: int,
    m: int,
    oracle: Oracle | None,
    options: dict[str, Any],
) -> None:
    context = f"tile {tile.where}, {n}:{m}, {options}"
    if not options.get("complete", True):
        published = AS_PUBLISHED[options["method"]](scores, n, tile.full)
        np.testing.assert_array_equal(mask, published, err_msg=f"{context}\n{scores=}")
    if oracle is None:
        return
    best = oracle(scores, n, tile.full)
    if options["method"] == "optimal":
        assert_no_better(scores, mask, best, context)
    elif (scores >= 0).all():
        _assert_bound(options["method"], normalised(scores), mask, best, context)


def assert_no_better(
    scores: np.ndarray, mask: np.ndarray, best: np.ndarray, context: str = ""
) -> None:
    """The oracle's mask keeps no more than ours: exactly so on integers."""
    exact = are_flow_integers(scores)
    scores = scores if exact else normalised(scores)
    ours, theirs = kept_score(scores, mask), kept_score(scores, best)
    slack = 0.0 if exact else RELATIVE_TOLERANCE * kept_score(np.abs(scores), best)
    assert ours >= theirs - slack, (
        f"kept {ours!r}, the oracle {theirs!r}\n{context}\n{scores=}\n{mask=}\nbest={best!r}"
    )


def _assert_bound(
    method: str, scores: np.ndarray, mask: np.ndarray, best: np.ndarray, context: str
) -> None:
    looser = 1 + RELATIVE_TOLERANCE
    if method == "two_approximation":
        pruned, least = kept_score(scores, ~mask), kept_score(scores, ~best)
        assert pruned <= 2 * least * looser, (
            f"pruned {pruned!r}, optimal {least!r}\n{context}\n{scores=}\n{mask=}"
        )
    else:
        kept, most = kept_score(scores, mask), kept_score(scores, best)
        assert kept * looser >= most / 2, (
            f"kept {kept!r}, optimal {most!r}\n{context}\n{scores=}\n{mask=}"
        )
