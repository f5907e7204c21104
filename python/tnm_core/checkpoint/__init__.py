"""Checkpoints on disk: read one tensor at a time, rewritten at once or not at all."""

from __future__ import annotations

from tnm_core.checkpoint.base import Checkpoint, TensorInfo
from tnm_core.checkpoint.blocks import Box, cut_boxes
from tnm_core.checkpoint.dtypes import is_prunable
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.file_opener import open_checkpoint
from tnm_core.checkpoint.masks import MaskFile, is_mask_file, read_masks, save_masks, write_masks
from tnm_core.checkpoint.packed_matrices import (
    PackedFile,
    is_packed_file,
    load_packed,
    save_packed,
)
from tnm_core.checkpoint.records import PruneRecord, record_metadata
from tnm_core.checkpoint.safetensors_file import HeaderEntry, SafetensorsFile, write_header
from tnm_core.checkpoint.shard_index import (
    INDEX_SUFFIX,
    TORCH_INDEX_SUFFIX,
    read_index,
    read_json_file,
)
from tnm_core.checkpoint.writing import (
    FileTransaction,
    LeftoverWarning,
    disk_errors,
    finish_stopped_run,
)

__all__ = [
    "INDEX_SUFFIX",
    "TORCH_INDEX_SUFFIX",
    "Box",
    "Checkpoint",
    "CheckpointError",
    "FileTransaction",
    "HeaderEntry",
    "LeftoverWarning",
    "MaskFile",
    "PackedFile",
    "PruneRecord",
    "SafetensorsFile",
    "TensorInfo",
    "cut_boxes",
    "disk_errors",
    "finish_stopped_run",
    "is_mask_file",
    "is_packed_file",
    "is_prunable",
    "load_packed",
    "open_checkpoint",
    "read_index",
    "read_json_file",
    "read_masks",
    "record_metadata",
    "save_masks",
    "save_packed",
    "write_header",
    "write_masks",
]
