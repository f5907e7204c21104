"""How much a checkpoint of a stranger may announce; docs/checkpoints.md has the same numbers."""

from __future__ import annotations

import numpy as np

MAX_HEADER_BYTES = 100_000_000  # of a safetensors header, the format's own limit, or of an index
MAX_TENSORS = 500_000  # in one file or index; the largest published models have some 100,000
MAX_JSON_COMMAS = 16 * MAX_TENSORS  # a JSON text has hardly more values than commas
MAX_JSON_DEPTH = 32
MAX_NAME_LENGTH = 1024  # characters in the name of a tensor
MAX_AXES = 64 if int(np.__version__.split(".")[0]) >= 2 else 32  # what NumPy can hold
MAX_ARRAY_BYTES = 2**63 - 1
MAX_NPY_HEADER_BYTES = 10_000  # what NumPy itself trusts
MAX_DIRECTORY_BYTES = 1 << 25  # the list of members at the end of an archive
# What an archive unpacks to: so many bytes at least, or so many times its own size.
MAX_UNPACKED_BYTES = 1 << 28
MAX_UNPACKED_RATIO = 64
