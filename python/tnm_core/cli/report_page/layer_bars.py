"""What each layer keeps, as bars beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from tnm_core.cli.report_page.markup import add, add_name, add_seconds
from tnm_core.cli.tables import shape_text

_APPLIED = " (applied)"


class Series(NamedTuple):
    """One bar of each layer: its key in the report, its name for people, its colour."""

    key: str
    label: str
    colour: str


_RETAINED = (
    Series("optimal", "transposable, optimal", "blue"),
    Series("two_approximation", "transposable, 2-approximation", "purple"),
    Series("greedy", "transposable, greedy", "green"),
    Series("rowwise", "row-wise", "orange"),
    Series("unstructured", "unstructured", "grey"),
)
CALIBRATED = (
    Series("retained", "retained magnitude", "blue"),
    Series("error", "error of outputs, less is better", "red"),
)


def retained_series(report: Mapping[str, Any]) -> list[Series]:
    """List what a report of ``tnm prune`` tells, the mask that is applied first."""
    found = [one for one in _RETAINED if one.key in report["total"]["retained"]]
    applied = [one._replace(label=one.label + _APPLIED) for one in found
               if one.key == report["method"]]  # fmt: skip
    return [*applied, *(one for one in found if one.key != report["method"])]


def add_legend(parent: Element, series: Sequence[Series]) -> None:
    """Say which colour is what."""
    legend = add(parent, "ul", class_="legend")
    for one in series:
        entry = add(legend, "li")
        add(entry, "span", class_=f"swatch {one.colour}").tail = one.label
    add(add(legend, "li"), "span", class_="swatch random").tail = "what a random mask would keep"


def add_layer(
    parent: Element,
    layer: Mapping[str, Any],
    figures: Mapping[str, float | None],
    series: Sequence[Series],
) -> None:
    """Add one layer: its name, what it is, and its bars."""
    item = add(parent, "li", class_="layer")
    item.tail = "\n"
    head = add(item, "div", class_="head")
    add_name(head, "div", layer["name"], class_="name")
    _add_facts(head, layer)
    bars = add(item, "div", class_="bars")
    for one in series:
        if one.key in figures:
            _add_bar(bars, one, figures[one.key], layer.get("density"))


def _add_facts(head: Element, layer: Mapping[str, Any]) -> None:
    facts = [shape_text(layer.get("shape") or ()), layer.get("dtype"), layer.get("pattern")]
    told = [str(one) for one in facts if one]
    density = layer.get("density")
    if density is not None:
        told.append(f"{density:.4f} kept")
    line = add(head, "div", ", ".join(told), class_="fine")
    if layer.get("seconds") is not None:
        line.text = f"{line.text}, " if line.text else ""
        add_seconds(line, layer["seconds"])


def _add_bar(bars: Element, one: Series, value: float | None, random: float | None) -> None:
    bar = add(bars, "div", class_="bar")
    track = add(bar, "span", class_="track", title=one.label)
    if value is not None:
        width = 100 * min(1.0, max(0.0, value))
        add(track, "span", class_=f"fill {one.colour}", style=f"width:{width:.2f}%")
    if random is not None and one.key != "error":
        add(track, "span", class_="mark", style=f"left:{100 * min(1.0, random):.2f}%")
    figure = add(bar, "span", class_="figure")
    add(figure, "span", f"{one.label} ", class_="unseen").tail = (
        "-" if value is None else f"{value:.4f}"
    )
