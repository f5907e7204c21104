"""Pictures show what they are given."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection

import tnm_core
from tnm_core import plots

RNG = np.random.default_rng(9)


def _report(pattern: str, names: list[str], *kinds: str) -> dict[str, Any]:
    def retained(base: float) -> dict[str, float]:
        return {kind: base + 0.02 * place for place, kind in enumerate(kinds)}

    layers = [{"name": name, "retained": retained(0.7 + i / 100)} for i, name in enumerate(names)]
    total = {"retained": retained(0.72)}
    return {"pattern": pattern, "score": "abs", "layers": layers, "total": total}


def _png(figure: Any) -> np.ndarray:
    from matplotlib.image import imread

    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    return np.asarray(imread(file))


def test_mask_shows_kept_weights_and_dropped_ones_as_dots() -> None:
    weights = RNG.standard_normal((12, 20))
    mask = tnm_core.transposable_mask(weights, 2, 4)
    figure = plots.plot_mask(mask, 2, 4, weights=weights, rows=8, columns=16, title="layer.x")
    axes = figure.axes[0]
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(~np.isnan(shown), mask[:8, :16])
    np.testing.assert_array_equal(shown[mask[:8, :16]], weights[:8, :16][mask[:8, :16]])
    (dots,) = [item for item in axes.collections if isinstance(item, PathCollection)]
    places = {(int(y), int(x)) for x, y in np.asarray(dots.get_offsets())}
    assert places == set(zip(*(axis.tolist() for axis in np.nonzero(~mask[:8, :16])), strict=True))
    texts = [axes.get_title(loc="left"), *(text.get_text() for text in figure.texts)]
    assert any("2 of 4 kept in every row and column" in text for text in texts)
    assert any("8 x 16 of 12 x 20 shown" in text for text in texts)
    assert "layer.x" in texts


def _cell(picture: np.ndarray, axes: Any, row: int, column: int) -> np.ndarray:
    """The colour near a corner of a cell, where no dot reaches."""
    x, y = axes.transData.transform((column - 0.3, row - 0.3))
    return np.asarray(picture[picture.shape[0] - 1 - round(y), round(x), :3], dtype=float)


@pytest.mark.parametrize("given", [True, False])
def test_no_kept_weight_looks_dropped(given: bool) -> None:
    """Whatever its value, zero and what lies around it above all."""
    size = 32
    mask = np.eye(size, dtype=bool)
    weights = np.full((size, size), 0.5)
    np.fill_diagonal(weights, np.linspace(-1, 1, size))
    figure = plots.plot_mask(mask, 1, size, weights=weights if given else None, columns=size)
    figure.set_dpi(160)
    picture = _png(figure)
    axes = figure.axes[0]
    dropped = _cell(picture, axes, 0, 5)
    assert np.ptp(dropped) == 0  # grey
    for place in range(size):
        kept = _cell(picture, axes, place, place)
        assert np.abs(kept - dropped).max() > 0.15, (place, kept)
        assert np.ptp(kept) > 0.05, (place, kept)
        np.testing.assert_array_equal(_cell(picture, axes, place, (place + 7) % size), dropped)


def test_the_legend_explains_cells_and_dots() -> None:
    def told(**options: Any) -> list[str]:
        figure = plots.plot_mask(np.eye(8, dtype=bool), 1, 4, **options)
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()]

    assert told() == ["kept", "dropped"]
    assert told(weights=np.eye(8)) == ["dropped"]
    weights = np.where(np.eye(8), 2.0, 0.3)
    magnitudes = [f"dropped, magnitude {told}" for told in ("0.5", "1", "2 or more")]
    assert told(weights=weights) == ["dropped", *magnitudes]


def test_pictures_of_any_size_can_be_drawn() -> None:
    large = plots.plot_mask(np.ones((512, 512), dtype=bool), 4, 4, rows=512, columns=512)
    assert max(large.get_size_inches()) < 34
    assert len(large.axes[0].get_xticks()) < 130
    for shape in ((1, 1), (1, 3), (40, 1)):
        figure = plots.plot_mask(np.ones(shape, bool), 1, 1, weights=np.ones(shape), title="x")
        _png(figure)
        box = figure.axes[0]._left_title.get_window_extent()
        assert box.x1 <= figure.bbox.width, shape


def test_tiles_have_strong_lines() -> None:
    figure = plots.plot_mask(np.eye(9, dtype=bool), 1, 4)
    strong = sorted(
        float(np.asarray(line.get_xdata())[0])
        for line in figure.axes[0].lines
        if line.get_linewidth() > 1 and len(set(np.asarray(line.get_xdata()))) == 1
    )
    assert strong == [-0.5, 3.5, 7.5]


def test_mask_without_weights_renders() -> None:
    picture = _png(plots.plot_mask(np.eye(8, dtype=bool), 1, 4, transposable=False))
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 3


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_and_empty_masks_render(value: float) -> None:
    mask = np.full((8, 8), bool(value))
    _png(plots.plot_mask(mask, 2, 4, weights=np.zeros((8, 8))))


def test_retained_draws_every_layer_and_kind() -> None:
    names = ["m.layer.0.up.weight", "m.layer.1.up.weight", "m.layer.1.down.weight"]
    kinds = ("optimal", "rowwise", "unstructured")
    reports = [_report("2:4", names, *kinds), _report("8:16", names[:2], *kinds)]
    figure = plots.plot_retained(reports)
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["2:4", "8:16"]
    assert [text.get_text() for text in first.get_yticklabels()] == [
        "0.up",
        "1.up",
        "1.down",
        "total",
    ]
    assert [item.get_label() for item in first.collections] == [
        "transposable, optimal",
        "row-wise",
        "unstructured",
    ]
    points = np.asarray(first.collections[0].get_offsets())
    np.testing.assert_allclose(points, [[0.70, 0], [0.71, 1], [0.72, 2], [0.72, 3]])
    assert len(np.asarray(second.collections[0].get_offsets())) == 3
    assert [text.get_text() for text in second.texts] == ["0.720", "0.740", "0.760"]
    places = [text.xy[0] for text in second.texts]
    assert min(np.diff(places)) > 0.08
    assert np.mean(places) == pytest.approx(0.74)
    for axes in (first, second):
        assert axes.get_xlim() == (0, 1)
        assert [line.get_xdata()[0] for line in axes.lines if line.get_ls() == ":"] == [0.5]
    _png(figure)


def test_retained_with_one_layer_and_with_many() -> None:
    _png(plots.plot_retained([_report("2:4", ["w"], "greedy", "optimal", "rowwise")]))
    names = [f"layer.{i}" for i in range(400)]
    figure = plots.plot_retained([_report("2:4", names, "optimal")])
    assert len(figure.axes[0].get_yticklabels()) < 100
    assert figure.get_size_inches()[1] < 25


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\); expected a 2-D mask"):
        plots.plot_mask(np.ones(3, bool), 2, 4)
    with pytest.raises(ValueError, match="expected \\(4, 4\\)"):
        plots.plot_mask(np.ones((4, 4), bool), 2, 4, weights=np.ones((4, 5)))
    with pytest.raises(ValueError, match="at least one"):
        plots.plot_retained([])


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = "import sys, tnm_core.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("form", ["row 2:4", tnm_core.Pattern(2, 4, transposable=False)])
def test_forms_of_a_pattern(form: Any) -> None:
    mask = tnm_core.nm_mask(RNG.standard_normal((8, 8)), form)

    def told(*pattern: Any, **named: Any) -> str:
        axes = plots.plot_mask(mask, *pattern, **named).axes[0]
        return str(axes.get_title(loc="left"))

    assert told(form) == told(2, 4, transposable=False) == told("2:4", transposable=False)
    assert "every 4 entries of a row" in told(form)
    assert told("2:4") == told((2, 4)) == told(2, 4) == told(n=2, m=4)
    with pytest.raises(ValueError, match="expected a transposable one"):
        told(form, transposable=True)
