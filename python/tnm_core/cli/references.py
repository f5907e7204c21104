"""Python references, ``package.module:function`` or ``path/to/file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tnm_core.checkpoint import CheckpointError
from tnm_core.cli.errors import CommandError

EXPECTED = "package.module:function or path/to/file.py:function"
_PACKAGE = Path(__file__).parent.parent


def is_reference(text: str) -> bool:
    """Tell whether a text has the form of a reference."""
    return re.fullmatch(r".+:[^\W\d]\w*(\.[^\W\d]\w*)*", text) is not None


def call_reference(text: str) -> object:
    """Import what a reference names, call it without arguments, return what it returns."""
    where, _, path = text.rpartition(":")
    with foreign_errors(f"cannot import {where}"):
        found: object = _from_file(Path(where)) if where.endswith(".py") else _from_path(where)
    for name in path.split("."):
        if not hasattr(found, name):
            raise CommandError(f"{where} has no {path!r}; expected the name of a function")
        found = getattr(found, name)
    if not isinstance(found, Callable):  # type: ignore[arg-type]
        raise CommandError(f"{text} is a {type(found).__name__}; expected a function")
    with foreign_errors(f"{text} failed"):
        return found()  # type: ignore[operator]


@contextmanager
def foreign_errors(what: str) -> Iterator[None]:
    """Put any exception on one line, with the place where it was raised if that is not ours."""
    try:
        yield
    except (CommandError, CheckpointError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise CommandError(f"{what}: {_described(error)}") from error


def _described(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = _PACKAGE in Path(last.filename).parents
    if ours and isinstance(error, (TypeError, ValueError)):
        return str(error)
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    place = "" if ours or last.filename.startswith("<") else f" ({last.filename}:{last.lineno})"
    return told + place


def _from_path(name: str) -> ModuleType:
    """Import a module that is installed, or lies in the current folder."""
    _search(Path.cwd())
    return importlib.import_module(name)


def _from_file(path: Path) -> ModuleType:
    """Import a file; what lies beside it can be imported by it, as when it is run."""
    path = path.resolve()
    if not path.is_file():
        raise CommandError(f"{path} does not exist; expected {EXPECTED}")
    name = f"tnm reference {path}"
    if name not in sys.modules:
        _search(path.parent)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
