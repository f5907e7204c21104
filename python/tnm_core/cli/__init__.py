"""The command line ``tnm``, and what of it is a function as well."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from tnm_core.cli.packages import is_installed, version_report
from tnm_core.extras import how_to_install

if TYPE_CHECKING:
    from tnm_core.cli.pruning import prune_checkpoint as prune_checkpoint

__all__ = ["main", "prune_checkpoint"]

_NEEDED = ("typer", "rich", "safetensors", "ml_dtypes")


if not TYPE_CHECKING:  # type checkers see the import above, and mistakes in names

    def __getattr__(name: str) -> Any:
        """Import what needs the packages of the extra when it is first asked for."""
        if name == "prune_checkpoint":
            from tnm_core.cli.pruning import prune_checkpoint

            return prune_checkpoint
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command line, as the console script of `tnm_command` does."""
    try:
        run = prepare()
    except KeyboardInterrupt:
        _fail("interrupted; nothing was begun", 130)
    sys.exit(run(sys.argv[1:]))


def prepare() -> Callable[[Sequence[str]], int]:
    """Import what runs a command; its packages come with the extra ``cli``."""
    _open_standard_streams()
    missing = [name for name in _NEEDED if not is_installed(name)]
    if missing and sys.argv[1:] == ["--version"]:  # what a report of an error needs, in any case
        return _tell_version
    if missing:
        _fail(f"the command line needs {', '.join(missing)}: {how_to_install('cli')}")
    from tnm_core.cli.run import run

    return partial(run, ends_process=True)


def _tell_version(arguments: Sequence[str]) -> int:
    print(version_report())
    return 0


def _open_standard_streams() -> None:
    """Fill the places of closed streams: the next file to be opened, a checkpoint, takes them."""
    closed = [stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)]
    for _ in range(sum(closed)):
        os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w")  # noqa: SIM115 (for as long as the process lives)
    if sys.stdout is None:
        _fail("standard output is closed; expected a place for results, such as > /dev/null")


def _fail(message: str, status: int = 2) -> NoReturn:
    print(f"tnm: {message}", file=sys.stderr)
    sys.exit(status)
