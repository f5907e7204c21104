"""Every function that takes n and m takes a pattern in every form, and means the same by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core import counting

WEIGHTS = np.random.default_rng(5).normal(size=(8, 12))
MASK = tnm.transposable_mask(WEIGHTS, 2, 4)
ROWS = tnm.nm_mask(WEIGHTS, 2, 4)
TILE = MASK[:4, :4]

Call = Callable[..., Any]


def _parts(report: tnm.MaskReport) -> tuple[object, ...]:
    return report.valid, report.violation, report.density, report.n, report.m, report.transposable


def _packed(packed: tnm.Compressed) -> tuple[object, ...]:
    return packed.values.tolist(), packed.indices.tolist(), packed.n, packed.m, packed.axis


def _certified(*pattern: Any, **named: Any) -> object:
    mask, proof = tnm.transposable_mask(WEIGHTS, *pattern, **named, return_certificate=True)
    proof.verify(WEIGHTS, mask)
    return mask.tolist(), proof.n, proof.m


# Each is called with the pattern alone; where it stands among the arguments differs.
TRANSPOSABLE: dict[str, Call] = {
    "transposable_mask": lambda *p, **k: tnm.transposable_mask(WEIGHTS, *p, **k).tolist(),
    "certificate": _certified,
    "is_transposable": lambda *p, **k: tnm.is_transposable(MASK, *p, **k),
    "enumerate_masks": lambda *p, **k: [mask.tolist() for mask in tnm.enumerate_masks(*p, **k)],
    "rank_mask": lambda *p, **k: tnm.rank_mask(TILE, *p, **k),
    "unrank_mask": lambda *p, **k: tnm.unrank_mask(7, *p, **k).tolist(),
    "sample_masks": lambda *p, **k: tnm.sample_masks(*p, **k, size=3, rng=0).tolist(),
    "closed_form": counting.closed_form,
    "estimate": counting.estimate,
    "predicted_cost": lambda *p, **k: counting.predicted_cost(*p, **k).evaluations,
}
EITHER: dict[str, Call] = {
    "nm_mask": lambda *p, **k: tnm.nm_mask(WEIGHTS, *p, **k).tolist(),
    "check_mask": lambda *p, **k: _parts(tnm.check_mask(MASK, *p, **k)),
    "compress": lambda *p, **k: _packed(tnm.compress(WEIGHTS, MASK, *p, **k)),
    "mask_diversity": tnm.mask_diversity,
    "mask_diversity of a shape": lambda *p, **k: tnm.mask_diversity(*p, **k, shape=(5, 6)),
    "log10_mask_diversity": counting.log10_mask_diversity,
    "diversity_factors": counting.diversity_factors,
}
ALL = {**TRANSPOSABLE, **EITHER}
FORMS = [
    "2:4",
    "2 : 4",
    " 2:4 ",
    (2, 4),
    [2, 4],
    (np.int8(2), 4),
    tnm.Pattern(2, 4),
    tnm.Pattern(np.int64(2), 4),
]
ROW_FORMS = ["row 2:4", "row  2 : 4", tnm.Pattern(2, 4, transposable=False)]


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize("name", ALL)
def test_forms_mean_n_and_m(name: str, form: Any) -> None:
    expected = ALL[name](2, 4)
    assert ALL[name](form) == expected
    assert ALL[name](n=form) == expected


@pytest.mark.parametrize("name", ALL)
def test_n_and_m_by_name(name: str) -> None:
    assert ALL[name](n=2, m=4) == ALL[name](2, m=4) == ALL[name](2, 4)


@pytest.mark.parametrize("form", ROW_FORMS, ids=repr)
@pytest.mark.parametrize("name", TRANSPOSABLE)
def test_rowwise_where_only_transposable_will_do(name: str, form: Any) -> None:
    with pytest.raises(ValueError, match="pattern is 'row 2:4', expected a transposable one"):
        TRANSPOSABLE[name](form)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (("2-4",), ValueError, "pattern is '2-4', expected n:m"),
        (("5:4",), ValueError, "n is 5, expected 1 <= n <= m = 4"),
        (((2, 4, 8),), ValueError, "expected a pair"),
        ((2,), TypeError, r"m is missing \(None\), expected n and m"),
        (
            ("2:4", 4),
            TypeError,
            "m is 4 after the pattern '2:4', which says m already, expected",
        ),
        (((2, 4), 4), TypeError, "expected the pattern alone"),
        ((None,), TypeError, "pattern is None"),
    ],
)
def test_what_is_no_pattern(
    name: str, given: tuple[Any, ...], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        ALL[name](*given)


@pytest.mark.parametrize("form", ROW_FORMS, ids=repr)
def test_rowwise_forms(form: Any) -> None:
    assert tnm.nm_mask(WEIGHTS, form).tolist() == ROWS.tolist()
    report = tnm.check_mask(ROWS, form)
    assert report.valid
    assert not report.transposable
    assert _parts(report) == _parts(tnm.check_mask(ROWS, 2, 4, transposable=False))
    assert _parts(report) == _parts(tnm.check_mask(ROWS, "2:4", transposable=False))
    assert not tnm.check_mask(ROWS, "2:4").valid
    assert tnm.check_mask(tnm.nm_mask(WEIGHTS, form, axis=0), form, axis=0).valid
    assert _packed(tnm.compress(WEIGHTS, ROWS, form)) == _packed(tnm.compress(WEIGHTS, ROWS, 2, 4))
    assert tnm.mask_diversity(form) == tnm.mask_diversity(2, 4, "rowwise") == 6**4
    assert tnm.mask_diversity(form, constraint="rowwise", shape=(2, 3)) == 7**2
    assert counting.log10_mask_diversity(form) == counting.log10_mask_diversity(2, 4, "rowwise")


def test_contradictions() -> None:
    with pytest.raises(ValueError, match="pattern is 'row 2:4', expected a transposable one"):
        tnm.check_mask(ROWS, "row 2:4", transposable=True)
    for constraint in ("transposable", "transposable_at_most", "unstructured"):
        for count in (tnm.mask_diversity, counting.log10_mask_diversity):
            with pytest.raises(ValueError, match=f"constraint is '{constraint}' and the pattern"):
                count("row 2:4", constraint=constraint)
    with pytest.raises(ValueError, match="axis=0 came with transposable=True"):
        tnm.check_mask(MASK, "2:4", axis=0)


def test_what_follows_n_and_m_keeps_its_place() -> None:
    assert tnm.sample_masks(2, 4, 10).shape == (10, 4, 4)
    assert tnm.sample_masks(2, 4, (2, 3), 0).tolist() == (
        tnm.sample_masks("2:4", size=(2, 3), rng=0).tolist()
    )
    assert tnm.mask_diversity(2, 4, "unstructured", (2, 3)) == (
        tnm.mask_diversity("2:4", constraint="unstructured", shape=(2, 3))
    )
    assert tnm.unrank_mask(3, 2, 4).tolist() == tnm.unrank_mask(3, "2:4").tolist()
