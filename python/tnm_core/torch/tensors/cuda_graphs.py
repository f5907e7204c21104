"""Whether a CUDA graph is being captured: Python runs then, and not when the graph is replayed."""

from __future__ import annotations

import torch


def is_capturing() -> bool:
    """Tell whether the current stream is recorded into a CUDA graph; starts no CUDA."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()
