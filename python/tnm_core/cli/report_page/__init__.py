"""Reports of ``tnm prune`` and ``tnm calibrate`` in files: JSON, and a page of HTML for people."""

from __future__ import annotations

from tnm_core.cli.report_page.layer_size import LayerSize, Sizes
from tnm_core.cli.report_page.mask_corner import CornerCollector, MaskCorner, some_of
from tnm_core.cli.report_page.page import PruneRun, page
from tnm_core.cli.report_page.report_files import ReportFiles

__all__ = [
    "CornerCollector",
    "LayerSize",
    "MaskCorner",
    "PruneRun",
    "ReportFiles",
    "Sizes",
    "page",
    "some_of",
]
