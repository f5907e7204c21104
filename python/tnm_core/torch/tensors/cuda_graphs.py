"""Whether a CUDA graph is being captured: Python runs then, and not when the graph is replayed."""

from __future__ import annotations

import torch


def is_capturing() -> bool:
    """Tell whether the current stream is recorded into a CUDA graph; starts no CUDA."""
    in_use = torch.cuda.is_initialized()
    if torch.compiler.is_compiling() or not in_use:
        return False
    return torch.cuda.is_current_stream_capturing()
