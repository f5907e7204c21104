"""What was left alone or not copied, by reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from tnm_core.cli.report_page.markup import add, add_name, add_section
from tnm_core.cli.tables import shape_text

_SHOWN_OPEN = 8  # names; more of them are folded


def add_left_alone(main: Element, report: Mapping[str, Any]) -> None:
    """List all that was not pruned and all files that were not copied, with sentence and code."""
    section = add_section(main, "Left alone")
    if not report["skipped"]:
        add(section, "p", "Nothing was left alone.")
    _add_reasons(section, report["skipped"])
    if report["not_copied"]:
        add(section, "h3", "Files not copied")
        _add_reasons(section, report["not_copied"])


def _add_reasons(section: Element, skipped: Iterable[Mapping[str, Any]]) -> None:
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in skipped:
        grouped.setdefault((one["reason"], one["code"]), []).append(one)
    for (reason, code), members in grouped.items():
        attributes = {"open": "open"} if len(members) <= _SHOWN_OPEN else {}
        details = add(section, "details", **attributes)
        details.tail = "\n"
        summary = add(details, "summary", f"{len(members)}: {reason} ", class_="breakable")
        add(summary, "code", code)
        names = add(details, "ul", class_="names")
        for one in members:
            entry = add_name(names, "li", one["name"], class_="breakable")
            if one.get("shape"):
                add(entry, "span", f" {shape_text(one['shape'])}", class_="fine")
