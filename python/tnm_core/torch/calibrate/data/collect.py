"""Running dense and pruned model side by side to collect what a group of layers meets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from tnm_core.torch.calibrate.data.chain import Chain, Run
from tnm_core.torch.calibrate.data.layer_matrices import (
    Geometry,
    input_rows,
    is_linear_map,
    output_rows,
)
from tnm_core.torch.calibrate.data.moments import Moments
from tnm_core.torch.calibrate.data.order import Group
from tnm_core.torch.calibrate.data.recording import Calibration, Call, record, same_inputs

__all__ = ["Collector", "Sample", "attended"]

# Rows that reconstruction by Adam draws its batches from.
SAMPLE_ROWS = 16384


@dataclass(frozen=True)
class Sample:
    """Rows of inputs, shape (groups, rows, columns), and wanted outputs.

    Outputs of the layers of a group lie beside each other.
    """

    x: torch.Tensor
    y: torch.Tensor

    def outputs(self, rows: slice) -> Sample:
        """The same rows, with some of the outputs."""
        return Sample(self.x, self.y[:, :, rows])


@dataclass(frozen=True)
class Collector:
    """What it takes to run both models.

    Attributes
    ----------
    dense, pruned : torch.nn.Module
        The model as it came, and as far as it is pruned.
    calibration : Calibration
        The data.
    geometries : dict of str to Geometry
        Of the layers.
    residuals : dict of str to str
        Layers whose output is added to the input of another module.
    chain : Chain or None
        How to run part of the model.
    sequential : bool
        Whether inputs are those in the pruned model.
    tuned : bool
        Whether blocks of the pruned model are tuned, which run, then, even if not sequential.
    """

    dense: nn.Module
    pruned: nn.Module
    calibration: Calibration
    geometries: Mapping[str, Geometry]
    residuals: Mapping[str, str]
    chain: Chain | None
    sequential: bool
    tuned: bool = False

    def moments(self, group: Group) -> Moments:
        """Moments of inputs and wanted outputs of a group of layers."""
        layers = [self.dense.get_submodule(name) for name in group.names]
        if not self.sequential and all(map(is_linear_map, layers)):
            return self._own_moments(group, layers)
        moments: Moments | None = None
        for x, y in self.rows(group):
            if moments is None:
                moments = Moments(x.shape[0], x.shape[2], y.shape[2], x.device)
            moments.add(x, y)
        geometry = self.geometries[group.names[0]]
        return moments or Moments(geometry.groups, geometry.columns, geometry.outputs)

    def _own_moments(self, group: Group, layers: Sequence[nn.Module]) -> Moments:
        """Of the dense model's inputs and outputs: the former say what the latter are."""
        first = group.names[0]
        geometry = self.geometries[first]
        moments = Moments(geometry.groups, geometry.columns, 0, _device(layers[0]))
        stop = group.names[-1] if group.calls == 1 else None
        recorded = dict(zip(group.names, layers, strict=True))
        for run in self._runs(group):
            calls = record(run.dense, recorded, stop=stop, outputs=False)
            _check_shared(group, calls)
            for call in calls.get(first, ()):
                moments.add(input_rows(layers[0], attended(call.input, run.rows), geometry))
        each = [
            self.geometries[name].parameters(layer)
            for name, layer in zip(group.names, layers, strict=True)
        ]
        biases = [bias for _, bias in each if bias is not None]
        weight = torch.cat([weight for weight, _ in each], 1)
        return moments.with_outputs(weight, torch.cat(biases, 1) if biases else None)

    def sample(self, group: Group) -> Sample:
        """The first rows of inputs and wanted outputs of a group of layers."""
        parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        room = SAMPLE_ROWS
        for x, y in self.rows(group):
            parts.append((x[:, :room].clone(), y[:, :room].clone()))
            room -= x.shape[1]
            if room <= 0:
                break
        return Sample(torch.cat([x for x, _ in parts], 1), torch.cat([y for _, y in parts], 1))

    def rows(self, group: Group) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and wanted outputs, a batch at a time."""
        source = self.residuals.get(group.names[0]) if self.sequential else None
        if len(group.names) > 1 or group.calls > 1:
            source = None
        for run in self._runs(group):
            yield from self._rows_of_run(run, group, source)

    def _runs(self, group: Group) -> Iterator[Run]:
        block = self.chain.block_of(group.names[0]) if self.chain and group.calls == 1 else None
        return self.runs("" if self.chain is None or block is None else self.chain.blocks[block])

    def runs(self, block: str) -> Iterator[Run]:
        """Run a block of the chain, or the whole model (``""``), a batch at a time."""
        if self.chain is not None and block:
            index = self.chain.blocks.index(block)
            pruned = self.pruned if self.sequential or self.tuned else None
            yield from self.chain.runs(index, self.dense, pruned, self.calibration)
            return
        for batch in self.calibration.batches:
            yield Run(
                partial(self.calibration.forward, self.dense, batch),
                partial(self.calibration.forward, self.pruned, batch),
                self.calibration.rows(batch),
            )

    def _rows_of_run(
        self, run: Run, group: Group, source: str | None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        wanted = group.names if source is None else (*group.names, source)
        stop = group.names[-1] if group.calls == 1 else None
        dense = record(run.dense, {n: self.dense.get_submodule(n) for n in wanted}, stop=stop)
        _check_shared(group, dense)
        pruned = dense
        if self.sequential:
            modules = {n: self.pruned.get_submodule(n) for n in wanted}
            pruned = record(run.pruned, modules, stop=stop, outputs=False)
        for index in range(len(dense.get(group.names[0], ()))):
            if source is not None and not (source in dense and source in pruned):
                source = None  # it lies outside the block that was run
            residual = (
                None
                if source is None
                else _difference(dense[source][0].input, pruned[source][0].input)
            )
            outputs = [self._output(n, dense[n][index], residual, run.rows) for n in group.names]
            first = group.names[0]
            module = self.pruned.get_submodule(first)
            given = attended(pruned[first][index].input, run.rows)
            yield input_rows(module, given, self.geometries[first]), torch.cat(outputs, 2)

    def _output(
        self, name: str, call: Call, residual: torch.Tensor | None, rows: torch.Tensor | None
    ) -> torch.Tensor:
        output = call.output
        assert output is not None
        if residual is not None and residual.shape == output.shape:
            output = output + residual
        module = self.dense.get_submodule(name)
        return output_rows(module, attended(output, rows), self.geometries[name])


def _check_shared(group: Group, calls: Mapping[str, Sequence[Call]]) -> None:
    first = group.names[0]
    for name in group.names[1:]:
        if not same_inputs(calls.get(name, ()), calls.get(first, ())):
            raise ValueError(
                f"layers {first!r} and {name!r} get the same input for one batch, but not for "
                "another, expected batches that run the model in one way; leave out the others, or "
                "prune these layers one after the other by include="
            )


def _device(module: nn.Module) -> torch.device:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight.device


def _difference(dense: torch.Tensor | None, pruned: torch.Tensor | None) -> torch.Tensor | None:
    return None if dense is None or pruned is None else dense - pruned


def attended(given: torch.Tensor | None, rows: torch.Tensor | None) -> torch.Tensor:
    """Leave out the tokens that are padding."""
    assert given is not None
    if rows is not None and given.ndim == 3 and given.shape[:2] == rows.shape:
        return given[rows.to(given.device)]
    return given
