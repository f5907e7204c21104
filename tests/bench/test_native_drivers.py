"""The benchmark's own C++ compiles against the core as it is, and finds the core's masks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import machine, native
from bench.context import Context
from bench.sections import SECTIONS


@pytest.mark.parametrize(("name", "figures"), [("stages", 4), ("ceilings", 4)])
def test_section_has_figures(
    name: str, figures: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A driver that does not compile would leave its tables out, with a note."""
    if machine.compiler_version() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setattr(native, "BUILD", tmp_path)
    native.load.cache_clear()
    (section,) = (one for one in SECTIONS if one.name == name)
    records = section.run(Context(tmp_path, quick=True))
    assert len(records) == figures
    assert section.table(records)
