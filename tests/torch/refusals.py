"""How bad input is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def assert_refused(call: Callable[[], Any], error: type[Exception], *told: object) -> None:
    """Raise this kind of error, in one line that says what was expected and mentions `told`."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    for part in told:
        assert str(part) in message, f"{part!r} is not mentioned in {message!r}"
