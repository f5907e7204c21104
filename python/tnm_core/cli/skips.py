"""Why a tensor or layer was left alone, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping

from tnm_core.skip import Skip, SkipCode

_BY_OPTION = {
    SkipCode.NOT_INCLUDED: "not matched by --include",
    SkipCode.EXCLUDED: "matched by --exclude",
    SkipCode.EXCLUDED_BY_DEFAULT: (
        "embedding, head or norm by its name (--include it to prune it)"
    ),
}


def skip_text(skip: Skip) -> str:
    """Say why, naming options where the API names arguments."""
    return _BY_OPTION.get(skip.code) or str(skip)


def skip_json(skip: Skip) -> dict[str, str]:
    """Say why in a report for machines: the sentence, and a code that stays the same."""
    return {"reason": skip_text(skip), "code": skip.code.name.lower()}


def names_by_reason(skipped: Mapping[str, Skip]) -> dict[str, list[str]]:
    """Group names by the sentence that is said of them."""
    grouped: dict[str, list[str]] = {}
    for name, skip in skipped.items():
        grouped.setdefault(skip_text(skip), []).append(name)
    return grouped
