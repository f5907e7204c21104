"""The command line ``tnm``."""

from __future__ import annotations

import importlib.util
import sys

_NEEDED = ("typer", "rich", "safetensors", "ml_dtypes")


def main() -> None:
    """Entry point of the console script; its packages come with the extra ``cli``."""
    missing = [name for name in _NEEDED if not is_installed(name)]
    if missing:
        print(
            f'tnm: the command line needs {", ".join(missing)}: pip install "tnm_core[cli]"',
            file=sys.stderr,
        )
        sys.exit(2)
    from tnm_core.cli.run import run

    sys.exit(run(sys.argv[1:]))


def is_installed(name: str) -> bool:
    """Whether a package can be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # what find_spec says of a module that was blocked in sys.modules
        return False
