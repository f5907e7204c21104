"""Why something was left alone, in the words of the command line."""

from __future__ import annotations

from tnm_core.skip import Skip, SkipCode

# Sentences that name arguments of functions elsewhere name options here.
_SENTENCES = {
    SkipCode.NOT_INCLUDED: "not matched by --include",
    SkipCode.EXCLUDED: "matched by --exclude",
    SkipCode.EXCLUDED_BY_DEFAULT: "embedding, head or norm by its name (--include it to prune it)",
    SkipCode.NO_PATTERN: "no pattern given for it",
    SkipCode.OTHER_TYPE: "{kind} (Linear and Conv2d are pruned)",
}


def sentence(skip: Skip) -> str:
    """Say a reason as the command line does."""
    return _SENTENCES.get(skip.code, skip.code.value).format_map(skip.details)
