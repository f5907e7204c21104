"""``config.json`` of a model directory: what it says of how weights are stored."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tnm_core.checkpoint import WEIGHT, read_json_file
from tnm_core.cli.conversion.forms import Form
from tnm_core.cli.errors import CommandError

CONFIG = "config.json"
_QUANTIZATION, _SPARSITY, _METHOD = "quantization_config", "sparsity_config", "quant_method"
_COMPRESSED_TENSORS = "compressed-tensors"
_FORMAT = "sparse-24-bitmask"
# What stands in quantization_config whether or not anything is quantised.
_IDLE = {_METHOD, _SPARSITY, "version"}
_EXPECTED = "expected the configuration of a model, an object"


def renewed_config(
    folder: Path, form: Form, layers: Iterable[str], sparsity: float
) -> bytes | None:
    """Write the configuration for weights in another format; None if it stays as it is.

    Parameters
    ----------
    folder : Path
        The directory that is read.
    form : Form
        How layers are stored in the directory that is written.
    layers : iterable of str
        The weights in that format.
    sparsity : float
        Share of zeros among all weights, which readers of compressed-tensors are told.

    Raises
    ------
    CheckpointError, CommandError
        If the file is damaged, or the model is quantised by another method.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    config = read_json_file(path, _EXPECTED)
    if not isinstance(config, dict):
        raise CommandError(f"{path} holds no object; {_EXPECTED}")
    told = config.get(_QUANTIZATION, {})
    if not isinstance(told, dict):
        raise CommandError(f"{path}: {_QUANTIZATION} is no object; {_EXPECTED}")
    if form is Form.BITMASK:
        method = told.get(_METHOD, _COMPRESSED_TENSORS)
        if method != _COMPRESSED_TENSORS:
            raise CommandError(
                f"{path} says that the model is quantised by {method!r}; expected no "
                f"{_QUANTIZATION}, or one of {_COMPRESSED_TENSORS}, to write {_FORMAT}"
            )
        sparse = _sparsity_config(layers, sparsity)
        config[_QUANTIZATION] = {**told, _METHOD: _COMPRESSED_TENSORS, _SPARSITY: sparse}
    elif _SPARSITY not in told:
        return None
    elif set(told) <= _IDLE:
        del config[_QUANTIZATION]
    else:
        config[_QUANTIZATION] = {key: told[key] for key in told if key != _SPARSITY}
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()


def _sparsity_config(layers: Iterable[str], sparsity: float) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "sparsity_structure": "2:4",
        "global_sparsity": sparsity,
        "targets": [name.removesuffix(WEIGHT) for name in layers],
        "ignore": [],
        "registry_requires_subclass": False,
    }
