"""What a pattern is: n of every m are kept, along rows and columns or along rows alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from tnm_core.arguments import as_integer

__all__ = ["LARGEST_M", "Pattern", "PatternLike", "as_pattern", "as_transposable"]

LARGEST_M = 128

_TEXT = re.compile(r"(?P<row>row\s+)?(?P<n>[0-9]{1,4})\s*:\s*(?P<m>[0-9]{1,4})")


@dataclass(frozen=True)
class Pattern:
    """n of every m entries are kept; ``str()`` gives ``"2:4"`` or ``"row 2:4"``.

    Parameters
    ----------
    n, m : int
        n is what is kept, ``1 <= n <= m <= 128``.
    transposable : bool
        Whether that holds along rows and columns of every m x m tile, or along rows alone.

    Raises
    ------
    TypeError
        If n or m is not an integer.
    ValueError
        If n or m is out of range.

    Examples
    --------
    >>> from tnm_core import Pattern
    >>> str(Pattern(2, 4)), str(Pattern(2, 4, transposable=False))
    ('2:4', 'row 2:4')
    >>> Pattern(1, 4).density
    0.25
    """

    n: int
    m: int
    transposable: bool = True

    def __post_init__(self) -> None:
        n, m = as_integer("n", self.n), as_integer("m", self.m)
        if not 1 <= m <= LARGEST_M:
            raise ValueError(f"m is {m}, expected 1 <= m <= {LARGEST_M}")
        if not 1 <= n <= m:
            raise ValueError(f"n is {n}, expected 1 <= n <= m = {m}: n is what is kept of m")
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "m", m)
        object.__setattr__(self, "transposable", bool(self.transposable))

    @property
    def density(self) -> float:
        """Share of the entries that is kept."""
        return self.n / self.m

    @property
    def pair(self) -> tuple[int, int]:
        """Both numbers, n first."""
        return self.n, self.m

    @property
    def ratio(self) -> str:
        """Both numbers as text, such as ``"2:4"``, whatever the direction."""
        return f"{self.n}:{self.m}"

    def __str__(self) -> str:
        return self.ratio if self.transposable else f"row {self.ratio}"


# A Pattern, "2:4", "2 : 4", "row 2:4", or the pair (2, 4).
PatternLike = Pattern | str | tuple[int, int]


def as_pattern(
    n: PatternLike | int, m: int | None = None, *, transposable: bool | None = None
) -> Pattern:
    """Read a pattern in any of its forms, or n and m.

    Parameters
    ----------
    n : Pattern, str, pair of int, or int
        ``"2:4"`` is transposable, ``"row 2:4"`` row-wise; an int is n, and m must follow.
    m : int, optional
        Only with an int n.
    transposable : bool, optional
        False makes any pattern row-wise, True refuses one that is row-wise.

    Returns
    -------
    Pattern

    Raises
    ------
    TypeError
        If a part is missing, given twice, or of a wrong type.
    ValueError
        If the text is no pattern, n or m is out of range, or a row-wise pattern came with
        ``transposable=True``.

    Examples
    --------
    >>> from tnm_core.pattern import as_pattern
    >>> as_pattern("2 : 4") == as_pattern((2, 4)) == as_pattern(2, 4)
    True
    >>> as_pattern("row 2:4").transposable
    False
    """
    pattern = _of_numbers(n, m) if type(n) is int and type(m) is int else _read(n, m)
    if transposable is None or transposable == pattern.transposable:
        return pattern
    if transposable and not pattern.transposable:
        raise ValueError(
            f"pattern is '{pattern}', expected a transposable one, such as "
            f"'{pattern.ratio}'; row-wise masks are those of nm_mask"
        )
    return replace(pattern, transposable=transposable)


def as_transposable(n: PatternLike | int, m: int | None = None) -> Pattern:
    """Read a pattern as `as_pattern` does; ``ValueError`` for a row-wise one."""
    return as_pattern(n, m, transposable=True)


# A small call spends most of its time on its arguments, and asks for the same pattern each time.
@lru_cache(maxsize=256)
def _of_numbers(n: int, m: int) -> Pattern:
    return Pattern(n, m)


def _read(n: PatternLike | int, m: int | None) -> Pattern:
    if m is not None:
        if _is_pattern(n):
            raise TypeError(
                f"m is {m!r} after the pattern {_shown(n)}, which says m already, expected the "
                "pattern alone; pass what follows it by name"
            )
        return Pattern(n, m)  # type: ignore[arg-type]
    if isinstance(n, Pattern):
        return n
    if isinstance(n, str):
        return _parse(n)
    return _from_pair(n) if isinstance(n, (tuple, list)) else _only_n(n)


def _is_pattern(value: object) -> bool:
    """Tell whether a value is a pattern, rather than a mistake for n."""
    if isinstance(value, str):
        return _TEXT.fullmatch(value.strip()) is not None
    return isinstance(value, Pattern) or (isinstance(value, (tuple, list)) and len(value) == 2)


@lru_cache(maxsize=256)
def _parse(text: str) -> Pattern:
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"pattern is {text!r}, expected n:m (n of m are kept), such as '2:4', or row-wise "
            "'row 2:4'"
        )
    return Pattern(int(match["n"]), int(match["m"]), transposable=match["row"] is None)


def _from_pair(pair: tuple[int, ...] | list[int]) -> Pattern:
    if len(pair) != 2:
        raise ValueError(f"pattern is {pair!r}, expected a pair (n, m), such as (2, 4)")
    return Pattern(*pair)


def _only_n(n: object) -> Pattern:
    try:
        number = as_integer("n", n)
    except TypeError:
        raise TypeError(
            f"pattern is {n!r} ({type(n).__name__}), expected text such as '2:4', a pair (2, 4), "
            "or n and m"
        ) from None
    raise TypeError(
        f"m is missing (None), expected n and m (n of m are kept), such as {number}, {2 * number}, "
        "or a pattern such as '2:4'"
    )


def _shown(pattern: object) -> str:
    return f"'{pattern}'" if isinstance(pattern, (Pattern, str)) else repr(pattern)
