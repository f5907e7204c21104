"""Elements of a page, made by the standard library's tree, which escapes all text that it writes.

Names of layers and paths come from strangers: they enter a page through `add` and `say` alone, as
text or as the value of an attribute, with control characters spelt out.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from tnm_core.cli.errors import printable


class Code(NamedTuple):
    """A part of a sentence that is set as code."""

    text: str


def add(parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
    """Add an element; ``class_`` stands for ``class``, and ``aria_label`` for ``aria-label``."""
    named = {
        name.rstrip("_").replace("_", "-"): printable(value) for name, value in attributes.items()
    }
    element = SubElement(parent, tag, named)
    element.text = printable(text)
    return element


def say(parent: Element, tag: str, *parts: str | Code, **attributes: str) -> Element:
    """Add a sentence, some parts of which are code."""
    element = add(parent, tag, **attributes)
    last: Element | None = None
    for part in parts:
        if isinstance(part, Code):
            last = add(element, "code", part.text)
        elif last is None:
            element.text = f"{element.text or ''}{printable(part)}"
        else:
            last.tail = f"{last.tail or ''}{printable(part)}"
    return element


def add_name(parent: Element, tag: str, name: str, **attributes: str) -> Element:
    """Add the name of a layer, which may go on in the next line after a dot."""
    element = add(parent, tag, **attributes)
    first, *rest = printable(name or "(the model)").split(".")
    element.text = first
    for part in rest:
        last = element[-1] if len(element) else None
        if last is None:
            element.text += "."
        else:
            last.tail = f"{last.tail}."
        SubElement(element, "wbr").tail = part
    return element


def add_seconds(parent: Element, seconds: float) -> Element:
    """Add a duration, in the element that all that differs from run to run stands in."""
    return add(parent, "time", f"{seconds:.2f} s", datetime=f"PT{seconds:.2f}S")


def add_section(page: Element, title: str) -> Element:
    """Add a section with its heading."""
    section = add(page, "section")
    section.tail = "\n"
    add(section, "h2", title)
    return section


def html_text(root: Element) -> str:
    """Write a page: HTML5, in ASCII alone, which no encoding can spoil."""
    written = tostring(root, encoding="us-ascii", method="html").decode("ascii")
    return f"<!DOCTYPE html>\n{written}\n"
