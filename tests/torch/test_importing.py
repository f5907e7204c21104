"""What importing needs, and the examples of the docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

from tnm_core.extras import how_to_install


def _run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_without_torch_the_error_says_what_to_install() -> None:
    script = """
import sys
sys.modules["torch"] = None
import tnm_core
try:
    import tnm_core.torch
except ImportError as error:
    print(error)
"""
    told = _run(script)
    assert told.endswith(how_to_install("torch"))
    assert "\n" not in told


def test_importing_takes_no_distributed_parts() -> None:
    script = "import sys, tnm_core.torch; print('torch.distributed.tensor' in sys.modules)"
    assert _run(script) == "False"


def _modules() -> list[str]:
    import tnm_core.torch as adapters

    found = pkgutil.walk_packages(adapters.__path__, "tnm_core.torch.")
    return ["tnm_core.torch", *(module.name for module in found)]


def test_docstring_examples() -> None:
    attempted = 0
    for name in _modules():
        results = doctest.testmod(
            importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
        )
        assert results.failed == 0, name
        attempted += results.attempted
    assert attempted > 30


def test_everything_public_is_documented() -> None:
    import tnm_core.torch as adapters

    assert adapters.__all__ == sorted(adapters.__all__, key=lambda name: (not name.isupper(), name))
    for name in adapters.__all__:
        assert getattr(adapters, name).__doc__, name
