"""What goes wrong with workers, not with what they work on."""

from __future__ import annotations


class WorkersError(RuntimeError):
    """Workers died too often, are out of reach, or have another version than the client."""


class WorkersWarning(UserWarning):
    """Workers died and their tasks are run again, or there are none to wait for."""
