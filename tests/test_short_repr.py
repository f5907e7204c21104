"""What is shown at a prompt fits a screen, whatever the size of the arrays inside."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core.short_repr import short_repr

PACKAGES = ("tnm_core", "tnm_core.checkpoint", "tnm_core.counting", "tnm_core.products")
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


@pytest.mark.parametrize("holder", holders(PACKAGES), ids=lambda one: one.__name__)
def test_results_have_a_short_repr(holder: type) -> None:
    # A named tuple cannot assign it, but call it.
    assert holder.__repr__ is short_repr or "short_repr" in holder.__repr__.__code__.co_names


def test_some_are_found() -> None:
    names = {one.__name__ for one in holders(PACKAGES)}
    assert names >= {"Certificate", "Compressed", "MaskReport", "PruneRecord", "PackedArrays"}


@pytest.mark.parametrize("size", [8, 512])
def test_lines_do_not_grow_with_arrays(size: int) -> None:
    weights = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    mask, proof = tnm.transposable_mask(weights, "2:4", return_certificate=True)
    packed = tnm.pack(weights, mask)
    shown = [
        repr(one)
        for one in (
            proof,
            tnm.compress(weights, mask, "2:4"),
            tnm.check_mask(~mask, "1:4"),
            packed,
            packed.T,
            packed.to_arrays(),
        )
    ]
    assert shown[0].startswith(f"Certificate(row_prices=<float64 ({size // 4}, {size // 4}, 4)>")
    assert shown[0].endswith("n=2, m=4, score='abs')")
    assert f"shape=({size}, {size})" in shown[1]
    for text in shown:
        assert "\n" not in text
        assert len(text) < 400
