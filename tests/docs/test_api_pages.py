"""The pages of the Python API name every public name, and nothing else."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from tests.docs.documents import ROOT
from tests.docs.hooks import load_hook

PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
HOOK = load_hook("api_reference")


def _described() -> list[tuple[str, str]]:
    """List what is described: where it lies, and the name that is shown.

    Modules for the trainers of others have no ``__all__``, and take seconds to import.
    """
    found = [match for page in PAGES for match in HOOK.DIRECTIVE.finditer(page.read_text())]
    return [(match[1], match[2] or match[1]) for match in found if ".trainers." not in match[1]]


def _find(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _key(found: object) -> object:
    """Tell objects apart; constants that may be one object by chance, by their value."""
    return found if isinstance(found, str) else id(found)


@pytest.mark.parametrize("module", HOOK.PAGES)
def test_no_public_name_is_missing(module: str) -> None:
    """Names that nobody gave a place yet are added when the site is built."""
    described = {_key(_find(path)) for path, _ in _described()}
    added = HOOK.undescribed(HOOK.PAGES[module])
    public = importlib.import_module(module)
    assert HOOK.public_names(module) == list(public.__all__)
    missing = [name for name in public.__all__ if _key(getattr(public, name)) not in described]
    assert [name for name in missing if f"{module}.{name}" not in added] == []


def test_every_page_is_one_of_a_module() -> None:
    named = {*HOOK.PAGES.values(), "api/torch-linear.md"}
    assert {f"api/{page.name}" for page in PAGES} == named


def test_a_name_without_a_place_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HOOK, "public_names", lambda module: ["pack", "unheard_of"])
    assert HOOK.undescribed("api/products.md") == ["tnm_core.products.unheard_of"]


def test_nothing_private_is_described() -> None:
    for path, shown in _described():
        assert not isinstance(_find(path), ModuleType), f"{path} is a module"
        module, _, name = shown.rpartition(".")
        assert name in importlib.import_module(module).__all__, f"{shown} is not public"
        assert _find(shown) is _find(path)


def test_nothing_is_described_twice() -> None:
    paths = [path for path, _ in _described()]
    assert len(paths) == len(set(paths)) > 100
