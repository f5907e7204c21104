"""The one exception of this package."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written as asked.

    The message is one line: what came, what was expected, how to mend it.
    """
