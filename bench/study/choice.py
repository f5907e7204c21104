"""Choosing what to run by a regular expression over its names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

Named = TypeVar("Named")


def matching(every: Iterable[Named], expression: str, option: str) -> list[Named]:
    """Return those whose names, as `str` gives them, match.

    Raises
    ------
    ValueError
        If none does, or it is no regular expression; the message names the option.
    """
    names = {str(one): one for one in every}
    try:
        found = [one for name, one in names.items() if re.search(expression, name)]
    except re.error as error:
        raise ValueError(
            f"{option} is {expression!r}, expected a regular expression: {error}"
        ) from None
    if not found:
        raise ValueError(
            f"{option} is {expression!r}, expected a regular expression that matches some, such as "
            f"{next(iter(names))!r}"
        )
    return found
