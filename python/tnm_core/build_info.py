"""What this build of the library is."""

from __future__ import annotations

import platform
import sys
import sysconfig

import numpy as np

from tnm_core import _core, arguments
from tnm_core.call_path import ROADS

__version__ = _core.version()

if _core.instruction_set_error():
    raise ImportError(_core.instruction_set_error())


def build_info() -> dict[str, str | int | list[str]]:
    """Tell what a report of an error should hold: this build, and what it runs on.

    Returns
    -------
    dict
        ``version`` and ``compiler`` (str); ``instruction_sets`` (list of str, what this build holds
        code for); ``instruction_set`` (str, the one in use: the widest that the machine has, or
        what the environment variable ``TNM_FORCE_ISA`` named at import); ``threads`` (int, the
        cores that this process may use); ``roads`` (list of str, the ways from an array to the
        solver: `explain_path` tells which one a call takes); ``python``, ``numpy`` and ``platform``
        (str, with the C library's version on Linux). Behind the version of a free-threaded Python
        it says whether the GIL is off.

    Examples
    --------
    >>> import tnm_core as tnm
    >>> sorted(tnm.build_info())
    ['compiler', 'instruction_set', 'instruction_sets', 'numpy', 'platform', 'python', 'roads',
     'threads', 'version']
    """
    return {
        "version": __version__,
        "compiler": _core.compiler(),
        "instruction_sets": _core.instruction_sets_built(),
        "instruction_set": _core.instruction_set(),
        "threads": arguments.available_cpus(),
        "roads": list(ROADS),
        "python": _python(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def _python() -> str:
    told = f"{platform.python_implementation()} {platform.python_version()}"
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return told
    gil = getattr(sys, "_is_gil_enabled", lambda: False)()
    return f"{told}, free-threaded, the GIL is {'on' if gil else 'off'}"
