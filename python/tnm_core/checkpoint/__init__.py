"""Checkpoints on disk: read one tensor at a time, rewritten at once or not at all."""

from __future__ import annotations

from tnm_core.checkpoint.base import Checkpoint, TensorInfo
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.masks import MaskFile, is_mask_file, load_masks, save_masks, write_masks
from tnm_core.checkpoint.opening import open_checkpoint
from tnm_core.checkpoint.records import PruneRecord
from tnm_core.checkpoint.safetensors_file import SafetensorsFile
from tnm_core.checkpoint.transaction import FileTransaction

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "FileTransaction",
    "MaskFile",
    "PruneRecord",
    "SafetensorsFile",
    "TensorInfo",
    "is_mask_file",
    "load_masks",
    "open_checkpoint",
    "save_masks",
    "write_masks",
]
