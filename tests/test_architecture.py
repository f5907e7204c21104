"""Arrows point down, rooms keep to themselves, and folders stay small enough to read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import imports, includes

ROOT = Path(__file__).resolve().parents[1]
CPP = ROOT / "cpp"

# Prefixes of modules, lowest first; a module is on the floor of its longest prefix.
FLOORS = [
    f"tnm_core.{name}" if name else "tnm_core"
    for name in (
        "_core",
        "extras",
        "arguments",
        "text_table",
        "short_repr",
        "skip",
        "pattern",
        "call_path",
        "build_info",
        "selection",
        "weights",
        "tile_parts",
        "exact_scores",
        "certificate",
        "masks",
        "check",
        "retained",
        "compression",
        "products",
        "listing",
        "counting",
        "scale",
        "",
        "checkpoint",
        "plots",
        "torch.tensors",
        "torch.layers",
        "torch.linear",
        "torch.training",
        "torch.trainers",
        "torch.calibrate.data",
        "torch.calibrate.batch_norm",
        "torch.calibrate.solvers",
        "torch.calibrate.model",
        "torch.calibrate.permute",
        "torch.calibrate.allocate",
        "torch.calibrate",
        "torch.evaluate",
        "torch",
        "cli.errors",
        "cli.shortening",
        "cli.help_texts",
        "cli.progress",
        "cli.packages",
        "cli.console",
        "cli.checkpoint_input",
        "cli.options",
        "cli.executors",
        "cli.references",
        "cli.hugging_face",
        "cli.skips",
        "cli.tables",
        "cli.targets",
        "cli.resuming",
        "cli.model_directory",
        "cli.pruning",
        "cli.conversion",
        "cli.report_page",
        "cli.calibration",
        "cli.model_speed",
        "cli.evaluation",
        "cli.commands",
        "cli.app",
        "cli.run",
        "cli",
        "__main__",
    )
]

# Folders, lowest first; a file is on the floor of its longest folder.
CPP_FLOORS = [
    "tnm",
    "parallel",
    "simd",
    "elements",
    "words",
    "words/kernels",
    "tiles",
    "copies",
    "copies/kernels",
    "proof",
    "proof/kernels",
    "solvers/exact",
    "solvers/approximate",
    "fast_path",
    "fast_path/kernels/strip",
    "fast_path/kernels/dual",
    "fast_path/kernels/four_by_four",
    "fast_path/kernels",
    "groups",
    "retained",
    "retained/kernels",
    "rowwise",
    "rowwise/kernels",
    "counting/margins",
    "counting/regular",
    "counting/regular/kernels",
    "counting/tables",
    "counting/listing",
    "counting/sampling",
    "products",
    "products/kernels",
    "api",
    "bindings",
]
C_HEADERS = {"cmath", "cstddef", "cstdint", "cstring", "immintrin.h"}
# The last two are types alone: nothing that could be compiled along.
C_NAMES = {"byte", "memcpy", "memset", "ptrdiff_t", "size_t"} | {
    "index_sequence",
    "make_index_sequence",
    *(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}

MOST_FILES = 17


def _modules() -> dict[str, imports.Module]:
    return imports.read_modules(ROOT / "python" / "tnm_core")


def _imports(modules: dict[str, imports.Module]) -> list[imports.Import]:
    """All but what the package shows of itself to type checkers, and imports on demand."""
    on_demand = {f"tnm_core.{name}" for name in ("checkpoint", "plots", "torch")}
    return [
        one
        for one in imports.imports_of(modules, "tnm_core._core")
        if not (one.source == "tnm_core" and one.target in on_demand)
    ]


def test_python_arrows_point_down() -> None:
    modules = _modules()
    found = _imports(modules)
    assert imports.upward(modules, found, FLOORS) == []
    assert imports.cycles(modules, found) == []


def test_python_packages_keep_private_what_they_do_not_export() -> None:
    modules = _modules()
    found = _imports(modules)
    assert imports.private(modules, found) == []
    assert imports.private_attributes(modules) == []


def test_only_the_api_calls_the_compiled_module() -> None:
    callers = {
        name
        for name, module in _modules().items()
        for one in imports.imports_of({name: module}, "")
        if one.target == "tnm_core._core"
    }
    assert callers
    assert [name for name in callers if name.startswith(("tnm_core.torch", "tnm_core.cli"))] == []


def _includes() -> list[includes.Include]:
    return includes.read_includes([CPP / "src", CPP / "include"])


def test_cpp_arrows_point_down() -> None:
    found = _includes()
    assert len(found) > 100
    assert includes.upward(found, CPP_FLOORS) == []
    bindings = includes.read_includes([CPP / "bindings"])
    targets = {one.target for one in bindings if not one.is_system}
    own = {path.name for path in (CPP / "bindings").iterdir()}
    assert {target for target in targets - own if not target.startswith("tnm/")} == set()


def test_kernels_use_no_templates_of_the_standard_library() -> None:
    told = includes.standard_templates(CPP / "src", _includes(), C_HEADERS, C_NAMES)
    assert told == []


def test_headers_of_kernels_are_marked() -> None:
    headers = list((CPP / "src").glob("**/kernels/**/*.hpp"))
    assert headers
    assert [path.name for path in headers if not path.name.endswith("-inl.hpp")] == []


@pytest.mark.parametrize("top", ["cpp", "python", "tests", "bench", "examples"])
def test_folders_are_small(top: str) -> None:
    for folder in [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]:
        files = [
            path.name
            for path in folder.iterdir()
            if path.suffix in {".py", ".cpp", ".hpp"} and path.name != "__init__.py"
        ]
        assert len(files) <= MOST_FILES, f"{folder} holds {len(files)} files of code"


def test_paths_of_the_document_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    tops = [ROOT, CPP, CPP / "src", CPP / "tests", ROOT / "python" / "tnm_core"]
    named = set(re.findall(r"`([a-z_]+/[\w./-]+\.(?:py|md|cpp|hpp|txt|cmake))`", text))
    assert len(named) > 15
    assert [path for path in named if not any((top / path).exists() for top in tops)] == []


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_wrong_imports_are_found(tmp_path: Path) -> None:
    package = _write(
        tmp_path / "tnm_core",
        {
            "__init__.py": "",
            "low.py": "def f():\n    from tnm_core.high import Shown\n",
            "high/__init__.py": "from tnm_core.high.a import Shown\n__all__ = ['Shown']\n",
            "high/a.py": "from tnm_core.high.b import _hidden, Shown\n",
            "high/b.py": "from tnm_core.high import a\na._secret\n",
            "top.py": "from tnm_core.high.a import Shown\nfrom tnm_core.high import Hidden\n",
        },
    )
    modules = imports.read_modules(package)
    found = imports.imports_of(modules, "tnm_core._core")
    floors = ["tnm_core.low", "tnm_core.high", "tnm_core.top"]
    assert imports.upward(modules, found, floors) == [
        "tnm_core lies on no floor",
        "tnm_core.low:2 imports tnm_core.high.Shown, which lies above it",
    ]
    assert imports.cycles(modules, found) == [
        "tnm_core.high.a -> tnm_core.high.b -> tnm_core.high.a"
    ]
    assert imports.private(modules, found) == [
        "tnm_core.high.a:1 imports tnm_core.high.b._hidden, a private name",
        "tnm_core.top:1 imports tnm_core.high.a.Shown, which tnm_core.high does not export",
        "tnm_core.top:2 imports tnm_core.high.Hidden, which tnm_core.high does not export",
    ]
    assert imports.private_attributes(modules) == ["tnm_core.high.b:2 reads a._secret"]


def test_wrong_includes_are_found(tmp_path: Path) -> None:
    root = _write(
        tmp_path,
        {
            "low/a.hpp": '#include "high/kernels/b-inl.hpp"\n#include <vector>\n',
            "high/kernels/b-inl.hpp": "#include <algorithm>\nstd::size_t n = std::max(1, 2);\n",
            "elsewhere/c.cpp": '#include "low/a.hpp"\n// std::sort\n',
        },
    )
    found = includes.read_includes([root])
    assert includes.upward(found, ["low", "high"]) == [
        "elsewhere/c.cpp lies on no floor",
        "low/a.hpp:1 includes high/kernels/b-inl.hpp, which lies above it",
    ]
    assert includes.standard_templates(root, found, C_HEADERS, C_NAMES) == [
        "high/kernels/b-inl.hpp:1 includes algorithm, expected one of "
        + ", ".join(sorted(C_HEADERS)),
        "high/kernels/b-inl.hpp uses std::max",
    ]
