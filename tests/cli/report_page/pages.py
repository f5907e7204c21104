"""Pages read back: as a tree of elements, and without what differs from run to run."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "wbr", "br"}


class Page(HTMLParser):
    """The elements of a page in order, and the text that a reader sees."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.style = ""
        self.text = ""
        self._open: list[str] = []
        self.feed(written)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def named(self, tag: str, class_: str | None = None) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [
            attributes
            for found, attributes in self.elements
            if found == tag
            and (class_ is None or class_ in (attributes.get("class") or "").split())
        ]


def without_times(written: str) -> str:
    """What two runs of the same command have in common."""
    return re.sub(r"<time .*?</time>", "<time></time>", written)
