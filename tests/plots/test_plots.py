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
    texts = [axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)]
    assert any("2 of 4 kept in every row and column" in text for text in texts)
    assert any("8 x 16 of 12 x 20 shown" in text for text in texts)
    assert "layer.x" in texts


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
