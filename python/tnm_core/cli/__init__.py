"""The command line ``tnm``."""

from __future__ import annotations

import sys

from tnm_core.cli.packages import is_installed

__all__ = ["main"]

_NEEDED = ("typer", "rich", "safetensors", "ml_dtypes")


def main() -> None:
    """Run the console script; its packages come with the extra ``cli``."""
    missing = [name for name in _NEEDED if not is_installed(name)]
    if missing:
        print(
            f'tnm: the command line needs {", ".join(missing)}: pip install "tnm_core[cli]"',
            file=sys.stderr,
        )
        sys.exit(2)
    from tnm_core.cli.run import run

    sys.exit(run(sys.argv[1:]))
