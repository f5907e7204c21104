"""What this build of the library is."""

from __future__ import annotations

from tnm_core import _arguments, _core

__version__ = _core.version()


def build_info() -> dict[str, str | int]:
    """Tell the version, the compiler and how many threads are used by default.

    Returns
    -------
    dict
        ``version`` and ``compiler`` (str), ``threads`` (int, the cores that this process may use).

    Examples
    --------
    >>> import tnm_core as tnm
    >>> sorted(tnm.build_info())
    ['compiler', 'threads', 'version']
    """
    return {
        "version": __version__,
        "compiler": _core.compiler(),
        "threads": _arguments.available_cpus(),
    }
