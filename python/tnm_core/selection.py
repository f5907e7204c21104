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
    everything : bool
        Whether also what is no weight is meant where nothing is included; see `by_default`.
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
        everything: bool = False,
        known: Mapping[str, Skip] | None = None,
    ) -> None:
        self._include = include if include is None else _as_names("include", include)
        self._exclude = _as_names("exclude", () if exclude is None else exclude)
        self._everything = everything
        self._known = dict(known or {})

    def skip(self, name: str | tuple[str, ...], item: Any) -> Skip | None:
        """Tell why a name is left alone; None if it is meant.

        Of several names of one thing, shell patterns match any, and functions get the first.
        """
        names = (name,) if isinstance(name, str) else name
        if names[0] in self._known:
            return self._known[names[0]]
        if self._include is not None and not _matches(names, item, self._include):
            return SkipCode.NOT_INCLUDED()
        if _matches(names, item, self._exclude):
            return SkipCode.EXCLUDED()
        return None

    def singles_out(self, name: str) -> bool:
        """Tell whether a shell pattern of `include` means a parameter, and not all of its layer.

        ``"*.in_proj_weight"`` does; ``"encoder.*"`` means the layers of an encoder.
        """
        globs = self._include if isinstance(self._include, tuple) else ()
        layer = name[: name.rfind(".") + 1]
        return any(fnmatchcase(name, one) and not fnmatchcase(layer, one) for one in globs)

    @property
    def by_default(self) -> bool:
        """Whether nothing was asked for, so that `tnm_core.weights` decides what is a weight."""
        return self._include is None and not self._everything

    def of_everything(self) -> Selection:
        """Return the same selection, which also means what is no weight."""
        return Selection(self._include, self._exclude, everything=True, known=self._known)

    def unmatched(self, names: Iterable[str]) -> tuple[str, ...]:
        """List shell patterns of `include` that match no name: typing errors, most likely."""
        known = list(names)
        globs = self._include if isinstance(self._include, tuple) else ()
        return tuple(one for one in globs if not any(fnmatchcase(name, one) for name in known))


def as_selection(include: Names | Selection | None, exclude: Names | None) -> Selection:
    """Make a selection of `include` and `exclude`, unless `include` is one already."""
    if not isinstance(include, Selection):
        return Selection(include, exclude)
    if exclude is not None:
        raise TypeError("exclude is given beside a Selection, expected it as a part of that")
    return include


_EXPECTED = "shell patterns of names, such as 'encoder.*', or a function of name and layer"


def _as_names(argument: str, names: Names) -> Names:
    """Keep a function, or a tuple of shell patterns."""
    if callable(names):
        return names
    if not isinstance(names, Iterable):
        raise TypeError(f"{argument} is a {type(names).__name__}, expected {_EXPECTED}")
    globs = (names,) if isinstance(names, str) else tuple(names)
    for one in globs:
        if not isinstance(one, str):
            raise TypeError(f"{argument} holds a {type(one).__name__}, expected {_EXPECTED}")
    return globs


def _matches(names: tuple[str, ...], item: Any, wanted: Names) -> bool:
    if callable(wanted):
        return bool(wanted(names[0], item))
    return any(matches_any(name, wanted) for name in names)


def matches_any(name: str, globs: Iterable[str]) -> bool:
    """Tell whether one of the shell patterns matches a name."""
    return any(fnmatchcase(name, one) for one in globs)
