"""Ctrl-C in the middle of long counts, tables, chains and enumerations."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tests.support.interrupts import interrupt

INTERRUPTED_CALL = """
    import sys
    import numpy as np
    import tnm_core as tnm
    from tnm_core import _core

    def many(dtype):
        return np.broadcast_to(np.ones((1, 1), dtype), (10**6, 10**6))

    print("started", flush=True)
    try:
        {call}
    except KeyboardInterrupt:
        # The library still works afterwards.
        print("interrupted", tnm.rank_mask(tnm.unrank_mask(7, 4, 8), 4, 8), flush=True)
        sys.exit(3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent differently on Windows")
@pytest.mark.parametrize(
    "call",
    [
        "_core.count_margins_dp([11] * 22, [11] * 22, 2**33)",
        "tnm.unrank_mask(0, 12, 24, memory_cap=2**33)",
        "tnm.sample_masks(64, 128, exact=False, trades=2**40)",
        "for codes in tnm.enumerate_masks(4, 8, as_array=True): pass",
        "_core.retained_score(many(np.int8), 'int8', many(np.bool_), 'abs', 2)",
    ],
)
def test_ctrl_c(call: str) -> None:
    """All of these would run for minutes, or years."""
    script = textwrap.dedent(INTERRUPTED_CALL).format(call=call)
    output, errors, returncode = interrupt(script, timeout=30)
    assert output == "interrupted 7\n", errors
    assert returncode == 3
