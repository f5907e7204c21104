"""Which tensors of a checkpoint are converted, their values, and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.checkpoint import BitmaskFile, TensorInfo
from tnm_core.cli.conversion.forms import Form
from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning import Contents, MatrixAxes, TensorRules, ThreeD
from tnm_core.cli.skips import names_by_reason
from tnm_core.pattern import Pattern
from tnm_core.selection import Selection
from tnm_core.skip import Skip


@dataclass(frozen=True)
class Layer:
    """A tensor to convert, with the pattern that the user or the file gives it."""

    info: TensorInfo
    pattern: Pattern | None
    axes: MatrixAxes | None


@dataclass
class ChosenLayers:
    """Tensors to convert by name, and why those that were pruned too stay dense."""

    layers: dict[str, Layer] = field(default_factory=dict)
    left: dict[str, Skip] = field(default_factory=dict)


def choose_layers(
    contents: Contents,
    form: Form,
    pattern: Pattern | None,
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    source: str,
) -> ChosenLayers:
    """Choose what is pruned by the metadata or by its format, or else what has a pattern given.

    Raises
    ------
    CommandError
        If nothing is, or the format has no place for any of it.
    """
    recorded = {name: None for record in contents.records for name in record.layers}
    for name in recorded:
        if name not in contents.tensors:
            raise CommandError(f"the metadata of {source} names {name!r}, which it does not hold")
    names = [*dict.fromkeys([*recorded, *contents.encoded])]
    if contents.holds_masks:
        names = [*contents.tensors]
    if not names:
        names = _by_pattern(contents, pattern, include, exclude, source)
    selection = Selection(include or None, exclude)
    chosen = ChosenLayers()
    for name in names:
        info = contents.tensors[name]
        skip = selection.skip(name, None) or form.unsupported(info)
        if skip is not None:
            chosen.left[name] = skip
        else:
            chosen.layers[name] = Layer(info, *_pattern_of(contents, name, pattern, source))
    if not chosen.layers:
        reasons = names_by_reason(chosen.left)
        told = "; ".join(f"{len(group)} {reason}" for reason, group in reasons.items())
        raise CommandError(f"no tensor of {source} can be converted to {form.value}: {told}")
    return chosen


def _by_pattern(
    contents: Contents,
    pattern: Pattern | None,
    include: Sequence[str] | None,
    exclude: Sequence[str] | None,
    source: str,
) -> list[str]:
    if pattern is None:
        raise CommandError(f"{source} does not say how it was pruned; expected --pattern n:m")
    rules = TensorRules(include, exclude, pattern.m, ThreeD.AUTO, contents.anonymous)
    return [*rules.select(contents.tensors.values(), source).chosen]


def _pattern_of(
    contents: Contents, name: str, given: Pattern | None, source: str
) -> tuple[Pattern | None, MatrixAxes | None]:
    if given is None and contents.record_of(name) is None:
        return None, None
    axes = contents.axes_of(name)
    known = contents.pattern_of(name, given, source)
    return known, None if isinstance(axes, Skip) else axes


@dataclass
class LayerReader:
    """Reads layers of a checkpoint, and sees that they obey their patterns.

    Attributes
    ----------
    zeros_kept : dict of str to int
        By layer, entries that its mask keeps and that are zero, where that is known.
    """

    contents: Contents
    zeros_kept: dict[str, int] = field(default_factory=dict)

    def weights(self, layer: Layer) -> NDArray[Any]:
        """Read the values, zeros included."""
        array = self.contents.read(layer.info.name)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def kept(self, layer: Layer, weights: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which entries are kept: by the mask in the file, or those that are not zero."""
        name = layer.info.name
        stored = self._stored(layer)
        with np.errstate(invalid="ignore"):  # NaN is not zero, a signalling one neither
            support: NDArray[np.bool_] = weights != weights.dtype.type(0)
        mask = support if stored is None else stored
        self._check(layer, mask)
        zeros = int(np.count_nonzero(mask)) - int(np.count_nonzero(support))
        if stored is not None and zeros:
            self.zeros_kept[name] = zeros
        return mask

    def mask(self, layer: Layer) -> NDArray[np.bool_]:
        """Read the mask of a layer, or find one that keeps all that is not zero."""
        stored = self._stored(layer)
        if stored is not None:
            self._check(layer, stored)
            return stored
        weights = self.weights(layer)
        support = self.kept(layer, weights)
        if layer.pattern is None or layer.axes is None:
            return support
        view = layer.axes.matrices(support)
        if tnm.check_mask(view, layer.pattern):
            return support
        found = np.empty_like(support)
        find = tnm.transposable_mask if layer.pattern.transposable else tnm.nm_mask
        layer.axes.matrices(found)[...] = find(view.astype(np.float32), layer.pattern)
        if (support & ~found).any():
            raise CommandError(
                f"{layer.info.name} has no {layer.pattern} mask that keeps all of its weights"
            )
        self.zeros_kept[layer.info.name] = int(np.count_nonzero(found & ~support))
        return found

    def _stored(self, layer: Layer) -> NDArray[np.bool_] | None:
        """Read the mask in a file; None if it is filled up to rows of 2:4 for a sparser pattern."""
        stored = self.contents.stored_mask(layer.info.name)
        if stored is None or not isinstance(self.contents.source, BitmaskFile):
            return stored
        return stored if _obeys(layer, stored) else None

    def _check(self, layer: Layer, mask: NDArray[np.bool_]) -> None:
        report = _obeys(layer, mask)
        if isinstance(report, tnm.MaskReport) and not report:
            raise CommandError(
                f"{layer.info.name} does not obey {layer.pattern}: {report.violation}; expected "
                f"--pattern as it is, or --exclude {layer.info.name}"
            )


def _obeys(layer: Layer, mask: NDArray[np.bool_]) -> tnm.MaskReport | bool:
    """Tell whether a mask keeps at most what the pattern allows; true if there is none."""
    if layer.pattern is None or layer.axes is None:
        return True
    return tnm.check_mask(layer.axes.matrices(mask), layer.pattern, exact=False)
