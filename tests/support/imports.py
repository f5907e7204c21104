"""The imports of a Python package, read from its source, and what is wrong with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """One source file; `folder` is the package that it lies in, its own for an ``__init__``."""

    name: str
    folder: str
    is_package: bool
    tree: ast.Module

    @property
    def exports(self) -> set[str]:
        """What ``__all__`` lists."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return set(ast.literal_eval(node.value))
        return set()


@dataclass(frozen=True)
class Import:
    """`name` (None: the module itself) taken from a module of the same package."""

    source: str
    line: int
    target: str
    name: str | None

    def __str__(self) -> str:
        what = self.target if self.name is None else f"{self.target}.{self.name}"
        return f"{self.source}:{self.line} imports {what}"


def read_modules(package: Path) -> dict[str, Module]:
    """Parse every file of a package, by dotted name."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        folder = ".".join(parts[:-1])
        modules[name] = Module(name, folder, is_package, ast.parse(path.read_text()))
    return modules


def imports_of(modules: dict[str, Module], compiled: str) -> list[Import]:
    """Every import of one module of the package by another, wherever in the file it stands."""
    root = next(iter(modules)).partition(".")[0]
    return [
        found
        for module in modules.values()
        for node in ast.walk(module.tree)
        for found in _imports_at(module, node, modules, root)
        if found.target != compiled
    ]


def _imports_at(
    module: Module, node: ast.AST, modules: dict[str, Module], root: str
) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] == root:
                yield Import(module.name, node.lineno, alias.name, None)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        assert not node.level, f"{module.name}:{node.lineno}: a relative import"
        if base.partition(".")[0] != root:
            return
        exported = modules[base].exports if base in modules else set()
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            if alias.name not in exported and (inner in modules or inner == f"{root}._core"):
                yield Import(module.name, node.lineno, inner, None)
            else:
                yield Import(module.name, node.lineno, base, alias.name)


def upward(
    modules: dict[str, Module], imports: Sequence[Import], floors: Sequence[str]
) -> list[str]:
    """Imports of what lies on a higher floor; `floors` are prefixes of names, lowest first."""
    told = [f"{name} lies on no floor" for name in modules if _floor(name, floors) is None]
    for one in imports:
        source, target = _floor(one.source, floors), _floor(one.target, floors)
        if source is not None and target is not None and target > source:
            told.append(f"{one}, which lies above it")
    return told


def _floor(name: str, floors: Sequence[str]) -> int | None:
    """The floor of the longest prefix that a name has."""
    fitting = [one for one in floors if name == one or name.startswith(one + ".")]
    return floors.index(max(fitting, key=len)) if fitting else None


def private(modules: dict[str, Module], imports: Sequence[Import]) -> list[str]:
    """Imports of what a package keeps to itself.

    A file may take from the files of its own folder and of the folders around it, and from any
    other package what that exports.
    """
    told = []
    for one in imports:
        source, target = modules[one.source], modules[one.target]
        if one.name is not None and one.name.startswith("_") and not one.name.startswith("__"):
            told.append(f"{one}, a private name")
        around = source.folder == target.folder or source.folder.startswith(target.folder + ".")
        if around and not (target.is_package and one.name is not None):
            continue
        if one.name is not None and target.is_package and one.name in target.exports:
            continue
        if one.name is None and target.is_package:
            continue
        if not around or target.is_package:
            told.append(f"{one}, which {target.folder} does not export")
    return told


def private_attributes(modules: dict[str, Module]) -> list[str]:
    """Private attributes that are read from a module of the package."""
    told = []
    for module in modules.values():
        names = {
            alias.asname or alias.name
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if f"{node.module}.{alias.name}" in modules
        }
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in names
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
            ):
                told.append(f"{module.name}:{node.lineno} reads {ast.unparse(node)}")
    return told


def cycles(modules: dict[str, Module], imports: Sequence[Import]) -> list[str]:
    """Files that import each other, in a ring; packages stand for what they export."""
    follows: dict[str, set[str]] = {name: set() for name in modules}
    for one in imports:
        follows[one.source].add(one.target)
    return rings(follows)


def rings(follows: dict[str, set[str]]) -> list[str]:
    """Rings of a graph, one for each edge that closes one in a walk through it."""
    told: list[str] = []
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> None:
        if name in path:
            told.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for after in sorted(follows.get(name, ())):
                walk(after, [*path, name])
            done.add(name)

    for name in sorted(follows):
        walk(name, [])
    return told
