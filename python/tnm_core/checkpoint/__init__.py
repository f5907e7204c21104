"""Checkpoints on disk: read one tensor at a time, rewritten at once or not at all."""

from __future__ import annotations

from tnm_core.checkpoint.base import Checkpoint, TensorInfo, Transform
from tnm_core.checkpoint.blocks import Box, cut_boxes
from tnm_core.checkpoint.dtypes import is_prunable
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.file_opener import open_checkpoint
from tnm_core.checkpoint.formats import (
    BITMASK,
    COMPRESSED,
    SHAPE,
    TWO_OF_FOUR,
    WEIGHT,
    BitmaskFile,
    StoredTensor,
    bitmask_shapes,
    fill_two_of_four,
    is_bitmask_file,
    semi_structured_of,
    torch_tensor_of,
    write_tensors,
)
from tnm_core.checkpoint.masks import (
    EncodedMask,
    MaskFile,
    is_mask_file,
    plan_masks,
    read_masks,
    save_masks,
    write_encoded_masks,
    write_masks,
)
from tnm_core.checkpoint.packed_matrices import (
    BITS,
    VALUES,
    PackedFile,
    is_packed_file,
    load_packed,
    packed_metadata,
    save_packed,
)
from tnm_core.checkpoint.records import PruneRecord, record_metadata, without_format
from tnm_core.checkpoint.safetensors_file import HeaderEntry, SafetensorsFile, write_header
from tnm_core.checkpoint.shard_index import (
    INDEX_SUFFIX,
    TORCH_INDEX_SUFFIX,
    leads_out,
    read_index,
    read_json_file,
)
from tnm_core.checkpoint.sharded import NewShard, write_shards
from tnm_core.checkpoint.torch_file import TorchFile
from tnm_core.checkpoint.writing import (
    FileTransaction,
    LeftoverWarning,
    PlannedFile,
    disk_errors,
    finish_stopped_run,
    try_lock,
)

__all__ = [
    "BITMASK",
    "BITS",
    "COMPRESSED",
    "INDEX_SUFFIX",
    "SHAPE",
    "TORCH_INDEX_SUFFIX",
    "TWO_OF_FOUR",
    "VALUES",
    "WEIGHT",
    "BitmaskFile",
    "Box",
    "Checkpoint",
    "CheckpointError",
    "EncodedMask",
    "FileTransaction",
    "HeaderEntry",
    "LeftoverWarning",
    "MaskFile",
    "NewShard",
    "PackedFile",
    "PlannedFile",
    "PruneRecord",
    "SafetensorsFile",
    "StoredTensor",
    "TensorInfo",
    "TorchFile",
    "Transform",
    "bitmask_shapes",
    "cut_boxes",
    "disk_errors",
    "fill_two_of_four",
    "finish_stopped_run",
    "is_bitmask_file",
    "is_mask_file",
    "is_packed_file",
    "is_prunable",
    "leads_out",
    "load_packed",
    "open_checkpoint",
    "packed_metadata",
    "plan_masks",
    "read_index",
    "read_json_file",
    "read_masks",
    "record_metadata",
    "save_masks",
    "save_packed",
    "semi_structured_of",
    "torch_tensor_of",
    "try_lock",
    "without_format",
    "write_encoded_masks",
    "write_header",
    "write_masks",
    "write_shards",
    "write_tensors",
]
