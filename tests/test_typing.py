"""What type checkers and tools see of the installed package."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core import _core
from tnm_core.extras import how_to_install

PACKAGE = Path(tnm.__file__).parent


def _stub_functions() -> dict[str, ast.FunctionDef]:
    tree = ast.parse((PACKAGE / "_core.pyi").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_marker_and_stub_are_installed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert (PACKAGE / "_core.pyi").is_file()


def test_stub_lists_what_the_compiled_module_has() -> None:
    public = {name for name in dir(_core) if not name.startswith("__")}
    tree = ast.parse((PACKAGE / "_core.pyi").read_text())
    stubbed = set(_stub_functions())
    stubbed |= {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    stubbed |= {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert stubbed == public


@pytest.mark.parametrize("name", sorted(_stub_functions()))
def test_stub_signatures_match_the_compiled_ones(name: str) -> None:
    """Pybind11 spells the parameters out in the docstring: name(first: type, ...) -> type."""
    told = inspect.getdoc(getattr(_core, name))
    assert told is not None
    stub = _stub_functions()[name]
    parameters = [argument.arg for argument in (*stub.args.args, *stub.args.kwonlyargs)]
    compiled = told.splitlines()[0]
    position = 0
    for parameter in parameters:
        found = compiled.find(f"{parameter}: ", position)
        assert found > position, f"{parameter} is missing or out of order in {compiled}"
        position = found
    arguments = ast.parse(f"def {compiled}: ...".replace("<", "'").replace(">:", "':")).body[0]
    assert isinstance(arguments, ast.FunctionDef)
    assert [a.arg for a in (*arguments.args.args, *arguments.args.kwonlyargs)] == parameters


def test_exports() -> None:
    assert sorted(tnm.__all__) == tnm.__all__ or set(tnm.__all__) <= set(dir(tnm))
    for name in (
        "Certificate", "Compressed", "MaskReport", "Violation", "__version__", "build_info",
        "check_mask", "compress", "decompress", "is_transposable", "nm_mask", "retained_score",
        "transposable_mask",
    ):  # fmt: skip
        assert name in tnm.__all__
        assert hasattr(tnm, name)


@pytest.mark.parametrize("name", sorted(set(tnm.__all__) - {"__version__"}))
def test_everything_public_is_documented_and_annotated(name: str) -> None:
    item = getattr(tnm, name)
    assert inspect.getdoc(item)
    if inspect.isfunction(item):
        signature = inspect.signature(item)
        assert signature.return_annotation is not inspect.Signature.empty
        for parameter in signature.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty


def test_version_and_build_info() -> None:
    info = tnm.build_info()
    assert info["version"] == tnm.__version__
    assert all(isinstance(key, str) for key in info)
    parts = tnm.__version__.split(".")
    assert len(parts) >= 3
    assert all(part.isdigit() for part in parts[:2])


def test_importing_needs_numpy_alone() -> None:
    """Optional dependencies are not imported with the package."""
    import subprocess
    import sys

    script = (
        "import sys, tnm_core; "
        "print([name for name in ('torch', 'ml_dtypes', 'typer', 'rich', 'scipy', 'matplotlib', "
        "'safetensors') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_subpackages_are_attributes_imported_on_demand() -> None:
    import subprocess
    import sys

    script = """
import sys
import tnm_core as tnm
heavy = ("torch", "safetensors", "matplotlib")
print(set(heavy) & set(sys.modules), {"checkpoint", "plots", "torch"} <= set(dir(tnm)))
print(tnm.checkpoint.open_checkpoint.__name__, tnm.plots.plot_mask.__name__)
print(set(heavy) & set(sys.modules), hasattr(tnm, "transposible_mask"))
sys.modules["torch"] = None
try:
    tnm.torch
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "set() True",
        "open_checkpoint plot_mask",
        "set() False",
        f"tnm_core.torch needs torch, which is not installed: {how_to_install('torch')}",
    ]


def test_type_checkers_see_subpackages_and_mistakes() -> None:
    """The module's __getattr__ would have them take any name for Any."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    seen = {
        ast.unparse(one)
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for one in node.body
    }
    assert "from tnm_core import torch as torch" in seen
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "__getattr__" not in functions


def test_results_are_plain_python_and_numpy() -> None:
    mask = tnm.transposable_mask(np.ones((6, 6)), 2, 4)
    report = tnm.check_mask(mask, 2, 4)
    assert type(report.valid) is bool
    assert type(report.density) is float
    assert type(tnm.is_transposable(mask, 2, 4)) is bool
    violation = tnm.check_mask(~mask, 1, 4).violation
    assert violation is not None
    assert type(violation.index) is tuple
    assert all(type(part) is int for part in violation.index)
    assert type(violation.count) is int
