"""Which optional packages are there."""

from __future__ import annotations

import importlib.util


def is_installed(name: str) -> bool:
    """Tell whether a package can be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # what find_spec says of a module that was blocked in sys.modules
        return False
