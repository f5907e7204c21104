"""Which names are meant, and why the others are left alone."""

from __future__ import annotations

from typing import Any

import pytest

from tnm_core.selection import Selection, as_selection
from tnm_core.skip import Skip, SkipCode, counted

NAMES = ("encoder.0.weight", "encoder.1.weight", "Embeddings.weight", "head.weight")


def _left(selection: Selection) -> list[str]:
    return [name for name in NAMES if selection.skip(name, None) is None]


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        (None, None, list(NAMES)),
        (None, (), list(NAMES)),
        ("encoder.*", None, list(NAMES[:2])),
        (("encoder.0*", "head*"), (), [NAMES[0], NAMES[3]]),
        ("encoder.*", "*.1.*", [NAMES[0]]),
        (None, lambda name, item: name.startswith("e"), list(NAMES[2:])),
        (lambda name, item: item is None and "head" in name, None, [NAMES[3]]),
        ((), None, []),
    ],
)
def test_include_and_exclude(include: Any, exclude: Any, left: list[str]) -> None:
    assert _left(Selection(include, exclude)) == left


def test_what_a_tensor_is_counts_unless_something_is_asked_for() -> None:
    assert Selection().by_default
    assert Selection(exclude="*.bias").by_default
    assert not Selection(include="*").by_default
    everything = Selection(exclude="*.1.*", known={"x": SkipCode.NO_DATA()}).of_everything()
    assert not everything.by_default
    assert _left(everything) == [NAMES[0], *NAMES[2:]]
    assert everything.skip("x", None) == SkipCode.NO_DATA()


def test_known_reasons_come_first() -> None:
    known = {"head.weight": SkipCode.NO_WEIGHTS()}
    selection = Selection(include="encoder.*", known=known)
    assert selection.skip("head.weight", None) == SkipCode.NO_WEIGHTS()
    assert selection.skip("Embeddings.weight", None) == SkipCode.NOT_INCLUDED()


def test_patterns_that_match_nothing() -> None:
    selection = Selection(include=("encoder.*", "encodre.*"), exclude="nothing*")
    assert selection.unmatched(NAMES) == ("encodre.*",)
    assert Selection().unmatched(NAMES) == ()


@pytest.mark.parametrize("argument", ["include", "exclude"])
def test_wrong_types(argument: str) -> None:
    with pytest.raises(TypeError, match=f"{argument} is a int, expected shell patterns"):
        Selection(**{argument: 3})
    with pytest.raises(TypeError, match=f"{argument} holds a int, expected shell patterns"):
        Selection(**{argument: ["a", 3]})


def test_a_skip_says_its_values() -> None:
    skip = SkipCode.FEW_FEATURES(side="in_features", size=3, m=4)
    assert str(skip) == "in_features 3 < m = 4"
    assert skip == Skip(SkipCode.FEW_FEATURES, {"side": "in_features", "size": 3, "m": 4})
    assert len({code.value for code in SkipCode}) == len(SkipCode.__members__)


def test_skips_are_counted_by_sentence() -> None:
    skips = [SkipCode.EXCLUDED(), SkipCode.NO_DATA(), SkipCode.EXCLUDED()]
    assert counted(skips, "none").startswith("2 left alone because matched by exclude=; 1 left")
    assert counted([], "none") == "none"


def test_a_selection_is_taken_as_it_is() -> None:
    selection = Selection("encoder.*")
    assert as_selection(selection, None) is selection
    assert _left(as_selection("encoder.*", "*.1.*")) == [NAMES[0]]
    with pytest.raises(TypeError, match="exclude is given beside a Selection"):
        as_selection(selection, ())
