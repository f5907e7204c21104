"""What this build of the library is."""

from __future__ import annotations

from tnm_core import _core, arguments
from tnm_core.call_path import ROADS

__version__ = _core.version()

if _core.instruction_set_error():
    raise ImportError(_core.instruction_set_error())


def build_info() -> dict[str, str | int | list[str]]:
    """Tell the version, the compiler, the instruction sets and the default number of threads.

    Returns
    -------
    dict
        ``version`` and ``compiler`` (str); ``instruction_sets`` (list of str, what this build holds
        code for); ``instruction_set`` (str, the one in use: the widest that the machine has, or
        what the environment variable ``TNM_FORCE_ISA`` named at import); ``threads`` (int, the
        cores that this process may use); ``roads`` (list of str, the ways from an array to the
        solver: `explain_path` tells which one a call takes).

    Examples
    --------
    >>> import tnm_core as tnm
    >>> sorted(tnm.build_info())
    ['compiler', 'instruction_set', 'instruction_sets', 'roads', 'threads', 'version']
    """
    return {
        "version": __version__,
        "compiler": _core.compiler(),
        "instruction_sets": _core.instruction_sets_built(),
        "instruction_set": _core.instruction_set(),
        "threads": arguments.available_cpus(),
        "roads": list(ROADS),
    }
