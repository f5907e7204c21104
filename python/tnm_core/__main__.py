"""``python -m tnm_core`` is ``tnm``."""

from __future__ import annotations

from tnm_core.cli import main

main()
