"""Collecting what a group of layers gets and should return, for its least-squares problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from tnm_core.torch.calibrate.data.decisions import Unpaired
from tnm_core.torch.calibrate.data.execution_order import Group
from tnm_core.torch.calibrate.data.layer_matrices import (
    CalibratedLayer,
    input_rows,
    is_linear_map,
    is_own_convolution,
    layer_matrices_of,
    layer_of,
    output_rows,
    parameters_of,
)
from tnm_core.torch.calibrate.data.moments import Moments, MomentSums
from tnm_core.torch.calibrate.data.own_products import Product
from tnm_core.torch.calibrate.data.paired_runs import PairedRuns, Run
from tnm_core.torch.calibrate.data.recording import Call, record, same_inputs

# Rows that reconstruction by Adam draws its batches from.
SAMPLE_ROWS = 16384

_Calls = Mapping[str, Sequence[Call]]


@dataclass(frozen=True)
class Sample:
    """Rows of inputs, shape (groups, rows, columns), and wanted outputs.

    Outputs of the layers of a group lie beside each other.
    """

    x: torch.Tensor
    y: torch.Tensor

    def outputs(self, rows: slice) -> Sample:
        """Return the same rows with some of the outputs."""
        return Sample(self.x, self.y[:, :, rows])


@dataclass(frozen=True)
class Collector:
    """Runs both models and collects the rows of layers.

    `residuals` names, by layer whose output is added to the input of another module, that module;
    inputs are those in the pruned model if it is `sequential`. `moments` and `sample` raise
    `Unpaired` where it cannot be known which rows of the two models belong together.
    """

    runs: PairedRuns
    residuals: Mapping[str, str]
    sequential: bool

    def of_dense_model(self) -> Collector:
        """Return one that looks at the dense model alone."""
        return replace(self, residuals={}, sequential=False)

    def moments(self, group: Group) -> Moments:
        """Return moments of inputs and wanted outputs of a group of layers."""
        layers = [layer_of(self.runs.dense, name) for name in group.names]
        # The dense model's inputs alone say what its outputs are.
        inputs_do = not self.sequential and all(map(is_linear_map, layers))
        outputs = 0 if inputs_do else sum(layer_matrices_of(one).outputs for one in layers)
        sums: MomentSums | None = None
        for x, y in self._rows(group, outputs=not inputs_do):
            if sums is None:
                sums = MomentSums(x.shape[0], x.shape[2], outputs, x.device)
            sums.add(x, y)
        if sums is None:  # no row at all
            _check_multiplied(group, layers)
            one = layer_matrices_of(layers[0])
            sums = MomentSums(one.groups, one.columns, outputs)
        moments = sums.moments()
        return moments.with_outputs(*parameters_of(*layers)) if inputs_do else moments

    def sample(self, group: Group) -> Sample:
        """Return the first rows of inputs and wanted outputs of a group of layers."""
        parts: list[Sample] = []
        room = SAMPLE_ROWS
        for x, y in self._rows(group):
            parts.append(Sample(x[:, :room].clone(), y[:, :room].clone()))
            room -= x.shape[1]
            if room <= 0:
                break
        return Sample(
            torch.cat([one.x for one in parts], 1), torch.cat([one.y for one in parts], 1)
        )

    def _rows(
        self, group: Group, *, outputs: bool = True
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield inputs and wanted outputs, none of those if they are not needed, call by call."""
        first = group.names[0]
        alone = len(group.names) == group.calls == 1
        source = self.residuals.get(first) if self.sequential and alone else None
        layer = layer_of(self.runs.pruned, first)
        once = group.calls == 1
        for run in self.runs.of_layer(first) if once else self.runs.of_whole_model():
            dense, pruned = self._calls(run, group, source, outputs)
            residual = _residual(source, dense, pruned)
            wanted = {name: _wanted(dense.get(name, ()), residual) for name in group.names}
            for index, made in enumerate(_products(pruned.get(first, ()))):
                x = input_rows(layer, made.given, run.rows, made.unfolding)
                returned = {name: one[index] for name, one in wanted.items()}
                yield x, self._outputs(returned, run.rows) if outputs else x[:, :, :0]

    def _outputs(
        self, wanted: Mapping[str, torch.Tensor | None], rows: torch.Tensor | None
    ) -> torch.Tensor:
        """Return what the layers of a group should return, beside each other."""
        return torch.cat(
            [output_rows(layer_of(self.runs.dense, name), one, rows)
             for name, one in wanted.items()], 2
        )  # fmt: skip

    def _calls(
        self, run: Run, group: Group, source: str | None, outputs: bool
    ) -> tuple[_Calls, _Calls]:
        """Record the layers, and the source, in the dense and in the pruned model."""
        wanted = group.names if source is None else (*group.names, source)
        modules = {name: self.runs.dense.get_submodule(name) for name in wanted}
        last = group.names[-1] if group.calls == 1 else None  # with which a run may end
        dense = record(run.dense, modules, stop=last, outputs=outputs)
        _check_same_inputs(group, dense)
        if not self.sequential:
            return dense, dense
        modules = {name: self.runs.pruned.get_submodule(name) for name in wanted}
        pruned = record(run.pruned, modules, stop=last, outputs=False)
        _check_paired(dense, pruned)
        return dense, pruned


def _products(calls: Sequence[Call]) -> list[Product]:
    return [made for call in calls for made in call.products]


def _wanted(calls: Sequence[Call], residual: torch.Tensor | None) -> list[torch.Tensor | None]:
    """Return what products should return: more, where the stream that they are added to is off."""
    return [
        made.output + residual
        if made.output is not None and residual is not None and _is_added(call, made, residual)
        else made.output
        for call in calls
        for made in call.products
    ]


def _is_added(call: Call, made: Product, residual: torch.Tensor) -> bool:
    """Whether what was added to a residual stream is what a product returned, and nothing else."""
    if made.output is None or call.output is None or made.output.shape != residual.shape:
        return False
    return call.own is None or torch.equal(made.output, call.output)


def _check_paired(dense: _Calls, pruned: _Calls) -> None:
    """Raise `Unpaired` unless modules are called as often, with as many rows, in both models."""
    for name in dense.keys() | pruned.keys():
        first, second = (list(map(_shapes, calls.get(name, ()))) for calls in (dense, pruned))
        if first != second:
            raise Unpaired(name)


def _shapes(call: Call) -> list[Any]:
    """Say how many rows a call has; equal for calls whose rows can be paired."""
    given = [call.input, *(made.given for made in call.products)]
    shapes: list[Any] = [None if one is None else one.shape for one in given]
    return shapes + [made.unfolding for made in call.products]


def _check_multiplied(group: Group, layers: Sequence[CalibratedLayer]) -> None:
    """Refuse a layer whose code multiplies in the model, but not in a copy of that."""
    for name, layer in zip(group.names, layers, strict=True):
        if is_own_convolution(layer):
            raise ValueError(
                f"the forward of layer {name!r} multiplies by its weight in the model, but not in "
                "a copy of that, expected a method, which is copied with the layer; leave the "
                "layer out by exclude="
            )


def _residual(source: str | None, dense: _Calls, pruned: _Calls) -> torch.Tensor | None:
    """Return how far a module's input in the pruned model is off; None outside the block."""
    if source is None or not (source in dense and source in pruned):
        return None
    wanted, given = dense[source][0].input, pruned[source][0].input
    return None if wanted is None or given is None else wanted - given


def _check_same_inputs(group: Group, calls: _Calls) -> None:
    first = group.names[0]
    for name in group.names[1:]:
        if not same_inputs(calls.get(name, ()), calls.get(first, ())):
            raise ValueError(
                f"layers {first!r} and {name!r} get the same input for one batch, but not for "
                "another, expected batches that run the model in one way; leave out the others, or "
                "prune these layers one after the other by include="
            )
