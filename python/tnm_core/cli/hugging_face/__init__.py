"""Models in local directories in the layout of Hugging Face, through transformers, offline."""

from __future__ import annotations

from tnm_core.cli.hugging_face.images import ImageBatches, image_batches
from tnm_core.cli.hugging_face.loading import (
    GGUF,
    PIXELS,
    Loaded,
    arguments_of,
    is_model,
    load,
    tensors_of,
    tokenizer_of,
)
from tnm_core.cli.hugging_face.packed_text import (
    PackedBatches,
    TextTokens,
    check_length,
    packed_batches,
    packed_pieces,
    text_tokens,
)
from tnm_core.cli.hugging_face.sentences import sentence_batches

__all__ = [
    "GGUF",
    "PIXELS",
    "ImageBatches",
    "Loaded",
    "PackedBatches",
    "TextTokens",
    "arguments_of",
    "check_length",
    "image_batches",
    "is_model",
    "load",
    "packed_batches",
    "packed_pieces",
    "sentence_batches",
    "tensors_of",
    "text_tokens",
    "tokenizer_of",
]
