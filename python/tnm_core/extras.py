"""How to install an extra: the one place that says so, for all errors about missing packages.

No index has the package, so the sentence names what works today, a clone; docs/installation.md is
the page for it.
"""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """Return what to do where a package of an extra is missing, to be put behind a colon.

    >>> print(f"pictures need matplotlib: {how_to_install('plot')}")
    pictures need matplotlib: pip install '.[plot]' in a clone of tnm_core (its extra plot)
    """
    return f"pip install '.[{extra}]' in a clone of tnm_core (its extra {extra})"
