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
    """Leave out the fewest parts, early ones: the last ones tell a block's layers apart."""
    parts = name.split(".")
    sizes = [cell_len(part) + 1 for part in parts]  # with a dot, or the gap
    best: tuple[int, int] | None = None
    tail = 0
    for last in range(1, min(len(parts), width)):
        tail += sizes[-last]
        head, first = 0, 0
        while first + last < len(parts) - 1 and tail - 1 + head + sizes[first] <= width:
            head += sizes[first]
            first += 1
        if first:
            best = max(best or (0, 0), (first + last, last))
    if best is None:
        return None
    kept, last = best
    return ".".join(parts[: kept - last]) + _GAP + ".".join(parts[-last:])


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
