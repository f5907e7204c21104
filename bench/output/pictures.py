"""All pictures of a run, by the page that shows them."""

from __future__ import annotations

from pathlib import Path

from bench.context import note
from bench.output import plots, products_plots, surface_plot
from bench.output.style import Sections


def draw_all(sections: Sections, output: Path) -> dict[str, dict[str, str]]:
    """Draw what was measured; file names with their titles, for each page."""
    try:
        import matplotlib as mpl
    except ImportError:
        note("plots skipped: matplotlib is not installed")
        return {}
    mpl.use("Agg")
    return {
        "benchmarks": plots.draw(sections, output),
        "products": products_plots.draw(sections, output),
        "surface": surface_plot.draw(sections, output),
    }
