"""explain_path names the road that a call takes; the core decides in one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tnm_core as tnm

WEIGHTS = np.zeros((128, 192), dtype=np.float32)


def _road(array: Any, pattern: str = "4:8", **options: Any) -> str:
    return tnm.explain_path(array, pattern, **options).road


def test_roads_of_layouts() -> None:
    assert _road(WEIGHTS) == "in place"
    assert _road(np.asfortranarray(WEIGHTS)) == "copied"
    assert _road(np.zeros((9, 8, 8))) == "gathered"
    assert _road(np.zeros((128, 16))) == "gathered"
    assert _road(WEIGHTS, "40:80") == "tile by tile"
    assert _road(WEIGHTS, "8:8") == "tile by tile"
    assert _road(WEIGHTS, method="greedy") == "tile by tile"
    assert sorted(tnm.build_info()["roads"]) == [  # type: ignore[arg-type]
        "copied", "gathered", "groups copied", "groups in place", "in place", "tile by tile",
    ]  # fmt: skip


def test_tiles_of_four_go_straight_unless_something_is_asked_in_between() -> None:
    def straight(array: Any, pattern: str = "2:4", **options: Any) -> bool:
        return tnm.explain_path(array, pattern, **options).straight

    assert straight(WEIGHTS)
    assert straight(np.asfortranarray(WEIGHTS))
    for pattern in ("1:4", "3:4"):
        assert straight(WEIGHTS, pattern)
        assert straight(WEIGHTS.astype(np.float16), pattern, score="identity")
        assert not straight(WEIGHTS.astype(np.float64), pattern)
        assert not straight(np.asfortranarray(WEIGHTS), pattern)
        assert not straight(WEIGHTS, pattern, return_certificate=True)
    assert not straight(WEIGHTS, "4:8")
    assert not straight(WEIGHTS, return_certificate=True)


def test_roads_of_rowwise_masks() -> None:
    def road(array: Any, pattern: str = "row 4:8", **options: Any) -> str:
        found = tnm.explain_path(array, pattern, **options)
        assert found.scores == "integers"
        assert str(found).startswith("64 groups side by side")
        return found.road

    turned = np.asfortranarray(WEIGHTS)
    assert road(WEIGHTS) == road(WEIGHTS, axis=0) == road(WEIGHTS[0]) == "groups in place"
    assert road(turned, out=np.empty(WEIGHTS.shape, bool, order="F")) == "groups in place"
    assert road(turned, out=np.empty(WEIGHTS.shape, bool)) == "groups copied"
    assert road(WEIGHTS, out=np.empty(WEIGHTS.shape, bool, order="F")) == "groups copied"


def test_groups_of_four_go_straight() -> None:
    def straight(array: Any, pattern: str = "row 2:4", **options: Any) -> bool:
        return tnm.explain_path(array, pattern, **options).straight

    for pattern in ("row 1:4", "row 2:4", "row 3:4"):
        assert straight(WEIGHTS, pattern)
        assert straight(WEIGHTS, pattern, axis=0)
    assert straight(WEIGHTS.astype(np.float64), axis=0)
    assert not straight(WEIGHTS.astype(np.float64))
    assert not straight(WEIGHTS, "row 4:8")
    assert not straight(WEIGHTS[0, :100])


def test_short_groups_count() -> None:
    path = tnm.explain_path(np.zeros((3, 10), dtype=">f4"), "row 2:4")
    assert path.edge_share == pytest.approx(0.2)
    assert path.converted
    assert "20.00% of the entries in short groups" in str(path)
    assert tnm.explain_path(np.zeros((3, 0)), "row 2:4").edge_share == 0


def test_scores_are_floats_where_they_fit() -> None:
    def scores(dtype: str, **options: Any) -> str:
        return tnm.explain_path(WEIGHTS.astype(dtype), 4, 8, **options).scores

    assert scores("float32") == scores("float16") == scores("int8") == "float32"
    assert scores("float64") == scores("int64") == "float64"


def test_what_else_is_told() -> None:
    path = tnm.explain_path(np.zeros((10, 8), dtype=">f4"), 2, 4)
    assert path.converted
    assert path.edge_share == pytest.approx(0.2)
    assert path.instruction_set == tnm.build_info()["instruction_set"]
    assert "20.00% of the entries in edge tiles" in str(path)
    assert "byte order" in str(path)
    assert "memory to memory" in str(tnm.explain_path(WEIGHTS, "2:4"))
    assert not tnm.explain_path(WEIGHTS, 2, 4).converted
    assert tnm.explain_path(np.zeros((0, 4)), 2, 4).edge_share == 0


def test_out_counts_and_is_left_alone() -> None:
    out = np.ones(WEIGHTS.shape, dtype=bool, order="F")
    path = tnm.explain_path(WEIGHTS, "2:4", out=out)
    assert path.road in tnm.build_info()["roads"]  # type: ignore[operator]
    assert out.all()
    with pytest.raises(ValueError, match="out has shape"):
        tnm.explain_path(WEIGHTS, "2:4", out=out[1:])


def test_arguments_are_checked_as_in_the_call() -> None:
    with pytest.raises(ValueError, match="2:4 is transposable"):
        tnm.explain_path(WEIGHTS, "2:4", axis=0)
    with pytest.raises(ValueError, match="row-wise masks are always optimal"):
        tnm.explain_path(WEIGHTS, "row 2:4", method="greedy")
    with pytest.raises(ValueError, match="row-wise pattern, expected False"):
        tnm.explain_path(WEIGHTS, "row 2:4", return_certificate=True)
    with pytest.raises(ValueError, match="axis"):
        tnm.explain_path(WEIGHTS, "row 2:4", axis=2)
    with pytest.raises(ValueError, match="score is 'cube'"):
        tnm.explain_path(WEIGHTS, "2:4", score="cube")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 2"):
        tnm.explain_path(WEIGHTS[0], "2:4")
