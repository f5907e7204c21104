"""A file whose every byte has its place before it is written, so that many can write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tnm_core.short_repr import short_repr


@dataclass(frozen=True)
class PlannedFile:
    """A file of tensors that is going to be written, in any order and by many.

    Attributes
    ----------
    target : Path
        What it will be called.
    head : bytes
        What stands before the tensors; all of it, if there are none, as in an index.
    places : dict of str to int
        Where the bytes of each tensor begin, counted from the first of the file.
    size : int
        Bytes of the whole.
    last : bool
        Whether the other files in its folder are not read without it.
    """

    target: Path
    head: bytes
    places: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    last: bool = False

    __repr__ = short_repr

    @classmethod
    def of(
        cls, target: Path, head: bytes, sizes: Mapping[str, int], *, last: bool = False
    ) -> PlannedFile:
        """Plan a file with tensors of some sizes, one after the other."""
        places, end = {}, len(head)
        for name, size in sizes.items():
            places[name] = end
            end += size
        return cls(target, head, places, end, last)
