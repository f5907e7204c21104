"""Collecting what a group of layers gets and should return, for its least-squares problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from tnm_core.torch.calibrate.data.execution_order import Group
from tnm_core.torch.calibrate.data.layer_matrices import (
    CalibratedLayer,
    layer_matrices_of,
    layer_of,
)
from tnm_core.torch.calibrate.data.layer_rows import input_rows, is_linear_map, output_rows
from tnm_core.torch.calibrate.data.moment_sums import MomentSums
from tnm_core.torch.calibrate.data.moments import Moments
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

    Attributes
    ----------
    runs : PairedRuns
        The dense and the pruned model.
    residuals : dict of str to str
        By layer whose output is added to the input of another module, that module.
    sequential : bool
        Whether inputs are those in the pruned model.
    """

    runs: PairedRuns
    residuals: Mapping[str, str]
    sequential: bool

    def moments(self, group: Group) -> Moments:
        """Return moments of inputs and wanted outputs of a group of layers."""
        layers = [layer_of(self.runs.dense, name) for name in group.names]
        if not self.sequential and all(map(is_linear_map, layers)):
            return self._moments_of_linear_maps(group, layers)
        sums: MomentSums | None = None
        for x, y in self._rows(group):
            if sums is None:
                sums = MomentSums(x.shape[0], x.shape[2], y.shape[2], x.device)
            sums.add(x, y)
        if sums is None:  # no row at all
            one = layer_matrices_of(layers[0])
            sums = MomentSums(one.groups, one.columns, one.outputs)
        return sums.moments()

    def sample(self, group: Group) -> Sample:
        """Return the first rows of inputs and wanted outputs of a group of layers."""
        parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        room = SAMPLE_ROWS
        for x, y in self._rows(group):
            parts.append((x[:, :room].clone(), y[:, :room].clone()))
            room -= x.shape[1]
            if room <= 0:
                break
        return Sample(torch.cat([x for x, _ in parts], 1), torch.cat([y for _, y in parts], 1))

    def _moments_of_linear_maps(self, group: Group, layers: Sequence[CalibratedLayer]) -> Moments:
        """Sum up the dense model's inputs alone, which say what its outputs are."""
        first = group.names[0]
        matrices = layer_matrices_of(layers[0])
        sums = MomentSums(matrices.groups, matrices.columns, 0, layers[0].weight.device)
        recorded = dict(zip(group.names, layers, strict=True))
        for run in self._runs(group):
            calls = record(run.dense, recorded, stop=_last(group), outputs=False)
            _check_same_inputs(group, calls)
            for call in calls.get(first, ()):
                sums.add(input_rows(layers[0], call.input, run.rows))
        each = [layer_matrices_of(layer).parameters(layer) for layer in layers]
        biases = [bias for _, bias in each if bias is not None]
        weight = torch.cat([weight for weight, _ in each], 1)
        return sums.moments().with_outputs(weight, torch.cat(biases, 1) if biases else None)

    def _runs(self, group: Group) -> Iterator[Run]:
        if group.calls > 1:
            return self.runs.of_whole_model()
        return self.runs.of_layer(group.names[0])

    def _rows(self, group: Group) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield inputs and wanted outputs, a call at a time."""
        source = self.residuals.get(group.names[0]) if self.sequential else None
        if len(group.names) > 1 or group.calls > 1:
            source = None
        for run in self._runs(group):
            yield from self._rows_of_run(run, group, source)

    def _rows_of_run(
        self, run: Run, group: Group, source: str | None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        first = group.names[0]
        dense, pruned = self._calls(run, group, source)
        residual = _residual(source, dense, pruned)
        layer = layer_of(self.runs.pruned, first)
        for index in range(len(dense.get(first, ()))):
            outputs = []
            for name in group.names:
                output = dense[name][index].output
                if output is not None and residual is not None and residual.shape == output.shape:
                    output = output + residual
                outputs.append(output_rows(layer_of(self.runs.dense, name), output, run.rows))
            yield input_rows(layer, pruned[first][index].input, run.rows), torch.cat(outputs, 2)

    def _calls(self, run: Run, group: Group, source: str | None) -> tuple[_Calls, _Calls]:
        """Record the layers, and the source, in the dense and in the pruned model."""
        wanted = group.names if source is None else (*group.names, source)
        modules = {name: self.runs.dense.get_submodule(name) for name in wanted}
        dense = record(run.dense, modules, stop=_last(group))
        _check_same_inputs(group, dense)
        if not self.sequential:
            return dense, dense
        modules = {name: self.runs.pruned.get_submodule(name) for name in wanted}
        return dense, record(run.pruned, modules, stop=_last(group), outputs=False)


def _last(group: Group) -> str | None:
    """Return the layer with which a run may end."""
    return group.names[-1] if group.calls == 1 else None


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
