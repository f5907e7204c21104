"""Why something was left alone, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping

from tnm_core.skip import Skip, SkipCode

# Sentences that name arguments of functions elsewhere name options here.
_SENTENCES = {
    SkipCode.NOT_INCLUDED: "not matched by --include",
    SkipCode.EXCLUDED: "matched by --exclude",
    SkipCode.NO_PATTERN: "no pattern given for it",
    SkipCode.OTHER_TYPE: "{kind} (Linear and Conv2d are pruned)",
}


def sentence(skip: Skip) -> str:
    """Say a reason as the command line does."""
    told = _SENTENCES.get(skip.code, skip.code.value).format_map(skip.details)
    return told.replace("(include it", "(--include it")


def skip_json(skip: Skip) -> dict[str, str]:
    """Say a reason in a report for machines: the sentence, and a code that stays the same."""
    return {"reason": sentence(skip), "code": skip.code.name.lower()}


def names_by_reason(skipped: Mapping[str, Skip]) -> dict[str, list[str]]:
    """Group names by the sentence that is said of them."""
    grouped: dict[str, list[str]] = {}
    for name, skip in skipped.items():
        grouped.setdefault(sentence(skip), []).append(name)
    return grouped
