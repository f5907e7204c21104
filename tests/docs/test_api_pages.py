"""The pages of the Python API name every public name, and nothing else."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest

from tests.docs.documents import ROOT

PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
MODULES = [
    "tnm_core",
    "tnm_core.checkpoint",
    "tnm_core.counting",
    "tnm_core.listing",
    "tnm_core.plots",
    "tnm_core.products",
    "tnm_core.torch",
    "tnm_core.torch.calibrate",
    "tnm_core.torch.calibrate.allocate",
    "tnm_core.weights",
]
DIRECTIVE = re.compile(r"^::: ([\w.]+)(?:\n    options:\n      heading: ([\w.]+))?", re.MULTILINE)


def _described() -> list[tuple[str, str]]:
    """List what is described: where it lies, and the name that is shown.

    Modules for the trainers of others have no ``__all__``, and take seconds to import.
    """
    found = [match for page in PAGES for match in DIRECTIVE.finditer(page.read_text())]
    return [(match[1], match[2] or match[1]) for match in found if ".trainers." not in match[1]]


def _find(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _key(found: object) -> object:
    """Tell objects apart; constants that may be one object by chance, by their value."""
    return found if isinstance(found, str) else id(found)


@pytest.mark.parametrize("module", MODULES)
def test_no_public_name_is_missing(module: str) -> None:
    described = {_key(_find(path)) for path, _ in _described()}
    public = importlib.import_module(module)
    missing = [name for name in public.__all__ if _key(getattr(public, name)) not in described]
    assert missing == []


def test_nothing_private_is_described() -> None:
    for path, shown in _described():
        assert not isinstance(_find(path), ModuleType), f"{path} is a module"
        module, _, name = shown.rpartition(".")
        assert name in importlib.import_module(module).__all__, f"{shown} is not public"
        assert _find(shown) is _find(path)


def test_nothing_is_described_twice() -> None:
    paths = [path for path, _ in _described()]
    assert len(paths) == len(set(paths)) > 100
