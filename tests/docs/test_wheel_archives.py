"""What `make wheels` looks for in its archives is found, and what it runs against a wheel."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.wheels import __main__ as wheels
from tests.support.wheels import archives
from tests.support.wheels.environments import Python

WHEEL = "tnm_core-1.0.0-cp311-cp311-manylinux_2_28_x86_64.whl"
METADATA = "tnm_core-1.0.0.dist-info"


def _sources() -> list[str]:
    return [*archives.SOURCE_FILES, *sorted(archives.source_names())]


def _sdist(folder: Path, names: list[str]) -> Path:
    path = folder / "tnm_core-1.0.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"tnm_core-1.0.0/{name}"))
    return path


def _wheel(folder: Path, names: list[str], file_name: str = WHEEL) -> Path:
    path = folder / file_name
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return path


def _wheel_names() -> list[str]:
    packages = [name for name in _sources() if name.startswith("python/tnm_")]
    return [
        *(name.removeprefix("python/") for name in packages),
        "tnm_core/checkpoint/",  # auditwheel lists folders
        "tnm_core/_core.cpython-311-x86_64-linux-gnu.so",
        f"{METADATA}/METADATA",
        f"{METADATA}/licenses/LICENSE",
    ]


def test_good_archives_pass(tmp_path: Path) -> None:
    assert archives.why_bad_sdist(_sdist(tmp_path, _sources())) == []
    assert archives.why_bad_wheel(_wheel(tmp_path, _wheel_names())) == []


@pytest.mark.parametrize(
    "name",
    ["build/cp311/CMakeCache.txt", "python/tnm_core/_core.so", "cpp/__pycache__/a", ".git/HEAD",
     "README.md.orig", ".venv/bin/python"],
)  # fmt: skip
def test_rubbish_in_a_source_distribution_is_found(name: str, tmp_path: Path) -> None:
    found = archives.why_bad_sdist(_sdist(tmp_path, [*_sources(), name]))
    assert found == [f"{name} does not belong there"]


@pytest.mark.parametrize("name", ["LICENSE", "cpp/CMakeLists.txt", "python/tnm_core/py.typed"])
def test_what_is_missing_in_a_source_distribution_is_found(name: str, tmp_path: Path) -> None:
    names = [one for one in _sources() if one != name]
    assert archives.why_bad_sdist(_sdist(tmp_path, names)) == [f"{name} is missing"]


def test_faults_of_a_wheel_are_found(tmp_path: Path) -> None:
    names = _wheel_names()
    assert archives.why_bad_wheel(_wheel(tmp_path, [*names, "tnm_core/module.cpp"])) == [
        "tnm_core/module.cpp does not belong there"
    ]
    assert archives.why_bad_wheel(_wheel(tmp_path, [*names, "tnm_core.libs/libgomp.so.1"])) == [
        "tnm_core.libs/libgomp.so.1 does not belong there"
    ]
    assert archives.why_bad_wheel(_wheel(tmp_path, names[:-1])) == ["the licence is missing"]
    without = [name for name in names if not name.endswith((".so", "py.typed"))]
    assert archives.why_bad_wheel(_wheel(tmp_path, without)) == [
        "tnm_core/py.typed is missing",
        "0 compiled modules, expected one",
    ]
    plain = WHEEL.replace("manylinux_2_28", "linux")
    assert archives.why_bad_wheel(_wheel(tmp_path, names, plain)) == ["it is no manylinux wheel"]


def test_a_large_archive_is_found(tmp_path: Path) -> None:
    names = _wheel_names()
    path = _wheel(tmp_path, names)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{METADATA}/LARGE", os.urandom(5_000_000))
    (fault,) = archives.why_bad_wheel(path)
    assert fault.endswith(" MB, expected at most 4")


@pytest.mark.parametrize("free_threaded", [False, True])
def test_wheel_is_tried(
    free_threaded: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the command line where the packages that it needs have no wheels, which is said."""
    installed: list[tuple[object, ...]] = []
    ran: list[str] = []
    monkeypatch.setattr(wheels, "create", lambda python, folder: folder)
    monkeypatch.setattr(wheels, "install", lambda folder, *names: installed.append(names))
    monkeypatch.setattr(wheels, "run_tests", lambda folder, place: ran.append(place))
    wheels.try_wheel(Python("python3", 13, free_threaded), Path(f"/{WHEEL}"))
    assert [names[1] for names in installed[:2]] == ["numpy==2.1.*", "numpy"]
    said = capsys.readouterr().out
    assert ("the command line is not tested" in said) == free_threaded
    assert (ran[2:] == []) == free_threaded
    assert ran[:2] == ["tests/wheel"] * 2
