"""Public classes that hold any number of things: arrays, names, layers."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

_MANY = ("NDArray", "Tensor", "ndarray", "dict[", "Mapping[", "tuple[str", "tuple[P", "tuple[L")


def holders(packages: Sequence[str]) -> list[type]:
    """Dataclasses and named tuples that the packages export, with a field of many things."""
    found = {}
    for name in packages:
        package = importlib.import_module(name)
        for one in map(package.__dict__.get, package.__all__):
            fields = _fields(one) if isinstance(one, type) else {}
            if any(part in told for told in fields.values() for part in _MANY):
                found[one.__name__] = one
    return list(found.values())


def _fields(one: Any) -> dict[str, str]:
    if dataclasses.is_dataclass(one):
        return {field.name: str(field.type) for field in dataclasses.fields(one)}
    return {name: str(one.__annotations__[name]) for name in getattr(one, "_fields", ())}
