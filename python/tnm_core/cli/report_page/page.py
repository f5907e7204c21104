"""The page of one run: what each section of it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from tnm_core.cli.report_page.layer_bars import (
    CALIBRATED,
    Series,
    add_layer,
    add_legend,
    retained_series,
)
from tnm_core.cli.report_page.layer_size import Sizes
from tnm_core.cli.report_page.left_alone import add_left_alone
from tnm_core.cli.report_page.markup import add, add_section, html_text
from tnm_core.cli.report_page.mask_corner import MaskCorner
from tnm_core.cli.report_page.mask_picture import add_picture
from tnm_core.cli.report_page.origin import add_origin
from tnm_core.cli.report_page.size_table import add_sizes
from tnm_core.cli.report_page.speed import add_speed
from tnm_core.cli.report_page.style import STYLE
from tnm_core.cli.report_page.summary import add_summary

# Whatever a stranger's name may hold, a browser runs no script of this page and fetches nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class PruneRun:
    """One run of ``tnm prune`` or ``tnm calibrate``.

    Attributes
    ----------
    report : mapping
        What ``--json`` prints.
    arguments : sequence of str
        Those of the command line, as they were given.
    corners : sequence of MaskCorner
        Of a few masks.
    sizes : Sizes
        Of layers and files.
    notes : sequence of str
        What else there is to say.
    """

    report: Mapping[str, Any]
    arguments: Sequence[str]
    corners: Sequence[MaskCorner]
    sizes: Sizes
    notes: Sequence[str] = ()


def page(run: PruneRun) -> str:
    """Write the page: one file of HTML that needs no network and no script."""
    root = Element("html", lang="en")
    source = run.report.get("input", run.report.get("model", ""))
    _add_head(root, f"tnm {run.report['command']}: {source}")
    main = add(add(root, "body"), "main")
    add_summary(main, run.report, source)
    _add_layers(main, run.report)
    _add_masks(main, run)
    add_sizes(main, run.sizes, run.report)
    add_left_alone(main, run.report)
    _add_notes(main, run.notes)
    add_speed(main, run.sizes, run.report)
    add_origin(main, run.arguments)
    return html_text(root)


def _add_head(root: Element, title: str) -> None:
    head = add(root, "head")
    add(head, "meta", charset="utf-8")
    add(head, "meta", http_equiv="Content-Security-Policy", content=_POLICY)
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "title", title)
    add(head, "style").text = STYLE
    head.tail = "\n"


def _add_layers(main: Element, report: Mapping[str, Any]) -> None:
    section = add_section(main, "What each layer keeps")
    series: Sequence[Series]
    if "total" in report:
        series = retained_series(report)
        add(section, "p", f"Shares of each layer's {report['score']} score that masks of the same "
            "density keep, from 0 to 1.")  # fmt: skip
    else:
        series = CALIBRATED
        add(section, "p", "Shares of the magnitude of each layer's dense weights that its mask "
            "keeps, and the squared error of its outputs on the calibration data over their "
            "variance, from 0 to 1.")  # fmt: skip
    add_legend(section, series)
    listed = add(section, "ol", class_="layers")
    if "total" in report:
        total = {**report["total"], "name": "all pruned layers"}
        add_layer(listed, total, total["retained"], series)
    for layer in report["layers"]:
        add_layer(listed, layer, layer.get("retained") if "total" in report else layer, series)


def _add_masks(main: Element, run: PruneRun) -> None:
    section = add_section(main, "Masks")
    if not run.corners:
        add(section, "p", "No mask is shown: none could be looked at as a matrix.")
        return
    before = "total" in run.report
    dots = ", dropped ones as dots, the larger the greater" if before else ", dropped ones empty"
    add(section, "p", f"The upper left corners of {len(run.corners)} of "
        f"{len(run.report['layers'])} masks. Kept weights are cells, the stronger the greater "
        f"their magnitude{dots}; lines enclose tiles.")  # fmt: skip
    grid = add(section, "div", class_="masks")
    for corner in run.corners:
        add_picture(grid, corner)


def _add_notes(main: Element, notes: Sequence[str]) -> None:
    if notes:
        listed = add(add_section(main, "Notes"), "ul")
        for note in notes:
            add(listed, "li", note, class_="breakable")
