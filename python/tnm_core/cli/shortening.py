"""Names of layers that have to fit: shortened in the middle, where they differ least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len

_GAP = "…"


def shorten(name: str, width: int) -> str:
    """Take a name's middle out, whole parts between dots if that will do.

    Examples
    --------
    >>> from tnm_core.cli.shortening import shorten
    >>> shorten("encoder.layer.0.attention.output.dense.weight", 36)
    'encoder.layer.0…output.dense.weight'
    """
    if cell_len(name) <= width:
        return name
    return _by_parts(name, width) or _by_letters(name, width)


def shorten_all(names: Sequence[str], width: int) -> list[str]:
    """Shorten names to a width; those that would come out alike keep more of themselves."""
    shown = {name: shorten(name, width) for name in names}
    while True:
        uses = Counter(shown.values())
        alike = [name for name, text in shown.items() if uses[text] > 1]
        if not alike:
            return [shown[name] for name in names]
        width += max(4, width // 4)
        shown |= {name: shorten(name, width) for name in alike}


def _by_parts(name: str, width: int) -> str | None:
    """Keep first and last parts, in turns from the end, as long as they fit."""
    parts = name.split(".")
    head, tail = 0, 0
    shown = None
    fits = True
    while fits and head + tail < len(parts) - 1:
        fits = False
        for more_head, more_tail in ((0, 1), (1, 0)):
            if head + tail == len(parts) - 1:
                break
            first = ".".join(parts[: head + more_head])
            last = ".".join(parts[len(parts) - tail - more_tail :])
            if cell_len(first) + 1 + cell_len(last) <= width:
                head, tail, fits = head + more_head, tail + more_tail, True
                shown = f"{first}{_GAP}{last}"
    return shown if head and tail else None


def _by_letters(name: str, width: int) -> str:
    """Cut a hole into the middle, the end being the longer piece."""
    head, tail = 0, 0
    room = width - 1
    while room > 0 and head + tail < len(name):
        letter = name[-tail - 1] if tail <= head else name[head]
        room -= cell_len(letter)
        if room < 0:
            break
        if tail <= head:
            tail += 1
        else:
            head += 1
    return name[:head] + _GAP + name[len(name) - tail :]
