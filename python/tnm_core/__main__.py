"""``python -m tnm_core`` is ``tnm``."""

from __future__ import annotations

from tnm_command import main

main()
