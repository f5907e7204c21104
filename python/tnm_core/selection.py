"""Which names are meant: shell patterns and functions, to include and to exclude."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tnm_core.skip import Skip, SkipCode

__all__ = ["Names", "Selection", "as_selection", "matches_any"]

# Shell patterns of names, or a function of a name and what bears it.
Names = str | Sequence[str] | Callable[[str, Any], bool]


class Selection:
    """What is included and not excluded.

    Parameters
    ----------
    include : str, sequence of str, or function, optional
        Shell patterns (``"encoder.*"``; matched as `fnmatch.fnmatchcase` does), or a function of a
        name and the layer or tensor that bears it. None includes everything.
    exclude : str, sequence of str, or function, optional
        What is left alone all the same, in the same forms.
    default_exclude : sequence of str
        Shell patterns of names in lower case that are left alone unless `include` is given.
    known : mapping of str to Skip, optional
        Names that are left alone for reasons known beforehand.

    Raises
    ------
    TypeError
        If `include` or `exclude` is of another type.

    Examples
    --------
    >>> from tnm_core.selection import Selection
    >>> selection = Selection(include="encoder.*", exclude="*.bias")
    >>> print(selection.skip("encoder.0.weight", None))
    None
    >>> print(selection.skip("head.weight", None))
    not matched by include=
    """

    def __init__(
        self,
        include: Names | None = None,
        exclude: Names | None = None,
        *,
        default_exclude: Sequence[str] = (),
        known: Mapping[str, Skip] | None = None,
    ) -> None:
        self._include = None if include is None else _Matcher("include", include)
        self._exclude = _Matcher("exclude", () if exclude is None else exclude)
        self._default_exclude = tuple(default_exclude) if include is None else ()
        self._known = dict(known or {})

    def skip(self, name: str, item: Any) -> Skip | None:
        """Tell why a name is left alone; None if it is meant."""
        if name in self._known:
            return self._known[name]
        if self._include is not None and not self._include.matches(name, item):
            return SkipCode.NOT_INCLUDED()
        if self._exclude.matches(name, item):
            return SkipCode.EXCLUDED()
        if matches_any(name.lower(), self._default_exclude):
            return SkipCode.EXCLUDED_BY_DEFAULT()
        return None

    def unmatched(self, names: Iterable[str]) -> tuple[str, ...]:
        """List shell patterns of `include` that match no name: typing errors, most likely."""
        known = list(names)
        globs = () if self._include is None else self._include.globs
        return tuple(one for one in globs if not any(fnmatchcase(name, one) for name in known))


def as_selection(include: Names | Selection | None, exclude: Names | None) -> Selection:
    """Make a selection of `include` and `exclude`, unless `include` is one already."""
    if not isinstance(include, Selection):
        return Selection(include, exclude)
    if exclude is not None:
        raise TypeError("exclude is given beside a Selection, expected it as a part of that")
    return include


class _Matcher:
    """Matches names against shell patterns or a function."""

    def __init__(self, argument: str, names: Names) -> None:
        self._call = names if callable(names) else None
        self.globs: tuple[str, ...] = ()
        if callable(names):
            return
        if not isinstance(names, Iterable):
            raise TypeError(f"{argument} is a {type(names).__name__}, expected {_EXPECTED}")
        self.globs = (names,) if isinstance(names, str) else tuple(names)
        for one in self.globs:
            if not isinstance(one, str):
                raise TypeError(f"{argument} holds a {type(one).__name__}, expected {_EXPECTED}")

    def matches(self, name: str, item: Any) -> bool:
        if self._call is not None:
            return bool(self._call(name, item))
        return matches_any(name, self.globs)


_EXPECTED = "shell patterns of names, such as 'encoder.*', or a function of name and layer"


def matches_any(name: str, globs: Iterable[str]) -> bool:
    """Tell whether one of the shell patterns matches a name."""
    return any(fnmatchcase(name, one) for one in globs)
